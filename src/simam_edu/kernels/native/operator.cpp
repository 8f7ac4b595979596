// Operators of torch around the kernel of kernel.cpp, with their own step of autograd.
//
// __init__.py builds the two files into one library and operators.py of the folder above holds the schemas of all operators but the first:
//   simam            One call does all that a plain map needs. For any other tensor, such as a tensor in a transform of torch.func,
//                    it returns None, and the caller takes another backend.
//   native           The forward pass as dispatch modes see it: the output and two numbers per channel.
//   native_backward  The backward pass, likewise.
//   gradient         The backward pass of the reference in Python, which autograd differentiates again.
// Modes only watch: what is computed and saved is the same with and without them, or activation checkpointing, which runs a
// forward pass twice, would find other tensors the second time.

#include <ATen/EmptyTensor.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/impl/TorchDispatchModeTLS.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <optional>
#include <tuple>

extern "C" int simam(int format, const void* x, const void* g, void* out, void* saved, std::int64_t images, std::int64_t channels,
                     std::int64_t positions, int channels_last, double lam, int correction, int leave_one_out);

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What kernel.cpp calls a dtype, or -1.
int format(at::ScalarType dtype) {
    switch (dtype) {
        case at::kFloat: return 0;
        case at::kDouble: return 1;
        case at::kHalf: return 2;
        case at::kBFloat16: return 3;
        default: return -1;
    }
}

// For maps of one to three axes, where is_contiguous(memory format) knows two and three only.
bool is_channels_last(const Tensor& x) {
    auto expected = x.size(1);
    for (auto axis = x.dim() - 1; axis > 1; expected *= x.size(axis), --axis)
        if (x.size(axis) != 1 && x.stride(axis) != expected) return false;
    return (x.size(1) == 1 || x.stride(1) == 1) && (x.size(0) == 1 || x.stride(0) == expected);
}

// Whether the values of a tensor are what stands at its address, and autograd has nothing to know but this operator.
bool is_plain(const Tensor& t) {
    using Key = c10::DispatchKey;
    constexpr c10::DispatchKeySet others({Key::Python, Key::Batched, Key::FuncTorchBatched, Key::FuncTorchGradWrapper,
                                          Key::Functionalize, Key::Negative, Key::ZeroTensor});
    return t.device().is_cpu() && t.layout() == at::kStrided && !t.key_set().has_any(others) && !t._fw_grad(0).defined();
}

std::int64_t positions(const Tensor& x) {
    std::int64_t product = 1;
    for (auto axis = x.dim() - 1; axis > 1; --axis) product *= x.size(axis);
    return product;
}

void run(const Tensor& x, const void* g, const Tensor& out, const Tensor& statistics, double lam, std::int64_t correction,
         bool leave_one_out) {
    at::internal::lazy_init_num_threads();  // OpenMP has a number for each thread, and torch tells a new one late
    const bool whole = simam(format(x.scalar_type()), x.const_data_ptr(), g, out.mutable_data_ptr(), statistics.mutable_data_ptr(),
                             x.size(0), x.size(1), positions(x), !x.is_contiguous(), lam, int(correction), leave_one_out);
    TORCH_CHECK(whole, "there must be memory for SimAM of shape ", x.sizes(), ", and the system gave none; take a smaller batch");
}

// ---- the two passes ----

// Whether the kernel can read a tensor as it lies in memory.
bool is_taken(const Tensor& x) {
    const bool maps = format(x.scalar_type()) >= 0 && x.dim() >= 3 && x.dim() <= 5 && positions(x) >= 2 && x.size(1) >= 1;
    return maps && (x.is_contiguous() || is_channels_last(x));
}

// A tensor as x, made without a call through torch's dispatcher, which a small map feels.
Tensor new_like(const Tensor& x) { return at::detail::empty_strided_cpu(x.sizes(), x.strides(), x.options()); }

// The output and two numbers per channel.
std::tuple<Tensor, Tensor> forward(const Tensor& x, double lam, std::int64_t correction, bool leave_one_out) {
    TORCH_CHECK(is_taken(x), "x must be dense maps (n, c, ...) of two positions or more, contiguous or channels-last, in float16, ",
                "bfloat16, float32 or float64, got ", x.toString(), " of shape ", x.sizes(), " and strides ", x.strides(),
                "; call simam_edu.SimAM, which takes any");
    const auto accumulation_dtype = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const Tensor y = new_like(x), statistics = at::detail::empty_cpu({2, x.size(0), x.size(1)}, x.options().dtype(accumulation_dtype));
    run(x, nullptr, y, statistics, lam, correction, leave_one_out);
    return {y, statistics};
}

Tensor backward(const Tensor& saved_x, const Tensor& grad_output, const Tensor& statistics, double lam, std::int64_t correction,
                bool leave_one_out) {
    // A hook may have laid out anew what was saved.
    const Tensor x = is_taken(saved_x) ? saved_x : saved_x.contiguous();
    Tensor g = grad_output;
    if (g.strides() != x.strides() || g.scalar_type() != x.scalar_type()) g = new_like(x).copy_(g);
    const Tensor out = new_like(x);
    run(x, g.const_data_ptr(), out, statistics.contiguous(), lam, correction, leave_one_out);
    return out;
}

// ---- the step of autograd ----

// An operator called so that modes and subclasses see it.
template <class Signature> auto operator_named(const char* name) {
    return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

std::tuple<Tensor, Tensor> watched_forward(const Tensor& x, double lam, std::int64_t correction, bool leave_one_out) {
    const at::AutoDispatchBelowADInplaceOrView no_graph;
    if (!c10::impl::dispatch_mode_enabled()) return forward(x, lam, correction, leave_one_out);
    return operator_named<decltype(forward)>("simam_edu::native").call(x, lam, correction, leave_one_out);
}

// The input and two numbers per channel are kept for the backward pass.
struct SimAM : torch::autograd::Function<SimAM> {
    static constexpr bool is_traceable = true;  // a compiled backward pass holds what backward calls

    static Tensor forward(AutogradContext* context, const Tensor& x, double lam, std::int64_t correction, bool leave_one_out) {
        const auto [y, statistics] = watched_forward(x, lam, correction, leave_one_out);
        context->save_for_backward({x, statistics});
        context->saved_data["options"] = std::make_tuple(lam, correction, leave_one_out);
        return y;
    }

    static variable_list backward(AutogradContext* context, const variable_list& grad_output) {
        const auto saved = context->get_saved_variables();
        const Tensor &x = saved[0], &statistics = saved[1], &g = grad_output[0];
        if (!g.defined()) return {Tensor(), Tensor(), Tensor(), Tensor()};
        const auto [lam, correction, leave_one_out] =
            context->saved_data["options"].to<std::tuple<double, std::int64_t, bool>>();
        // Whether a subclass in Python, such as the one that torch.compile traces with, stands for the values.
        const bool traced = x.key_set().has(c10::DispatchKey::Python) || statistics.key_set().has(c10::DispatchKey::Python);
        Tensor result;
        if (at::GradMode::is_enabled() || !(traced || is_plain(g))) {
            // A gradient that is to be differentiated, or is no plain map, is left to operations that autograd knows.
            using Gradient = Tensor(const Tensor&, const Tensor&, double, std::int64_t, bool);
            result = operator_named<Gradient>("simam_edu::gradient").call(x, g, lam, correction, leave_one_out);
        } else if (traced || c10::impl::dispatch_mode_enabled()) {
            const auto native = operator_named<decltype(::backward)>("simam_edu::native_backward");
            result = native.call(x, g, statistics, lam, correction, leave_one_out);
        } else {
            result = ::backward(x, g, statistics, lam, correction, leave_one_out);
        }
        return {result, Tensor(), Tensor(), Tensor()};
    }
};

std::optional<Tensor> simam_of(const Tensor& x, double lam, std::int64_t correction, bool leave_one_out) {
    if (!is_plain(x) || !is_taken(x)) return std::nullopt;
    if (at::GradMode::is_enabled() && x.requires_grad()) return SimAM::apply(x, lam, correction, leave_one_out);
    return std::get<0>(watched_forward(x, lam, correction, leave_one_out));
}

}  // namespace

TORCH_LIBRARY_IMPL(simam_edu, CPU, library) {
    library.impl("native", forward);
    library.impl("native_backward", backward);
}

// The last, so that whoever finds this one finds all.
TORCH_LIBRARY_FRAGMENT(simam_edu, library) {
    library.def("simam(Tensor x, float lam, int correction, bool leave_one_out) -> Tensor?", simam_of);
}
