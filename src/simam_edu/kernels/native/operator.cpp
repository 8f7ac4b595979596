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

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/impl/TorchDispatchModeTLS.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/library.h>
#include <torch/version.h>

#include <memory>
#include <optional>
#include <string>
#include <tuple>

// The interface of compiled autograd is that of torch 2.8 and later.
#define SIMAM_COMPILED_AUTOGRAD (TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 8))
#if SIMAM_COMPILED_AUTOGRAD
#include <torch/csrc/dynamo/compiled_autograd.h>
#endif

extern "C" void simam(int format, const void* x, const void* g, void* out, void* saved, std::int64_t images, std::int64_t channels,
                      std::int64_t positions, int channels_last, double lam, int correction, int leave_one_out);

namespace {

using at::Tensor;
using torch::autograd::Node;
using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

struct Options {
    double lam;
    std::int64_t correction;
    bool leave_one_out;
};

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

// Whether a dispatch mode of Python is to see what runs.
bool is_watched() { return c10::impl::dispatch_mode_enabled(); }

// Whether a subclass in Python, such as the one that torch.compile traces with, stands for the values.
bool is_subclass(const Tensor& t) { return t.key_set().has(c10::DispatchKey::Python); }

std::int64_t positions(const Tensor& x) {
    std::int64_t product = 1;
    for (auto axis = x.dim() - 1; axis > 1; --axis) product *= x.size(axis);
    return product;
}

void run(const Tensor& x, const void* g, const Tensor& out, const Tensor& statistics, const Options& o) {
    simam(format(x.scalar_type()), x.const_data_ptr(), g, out.mutable_data_ptr(), statistics.mutable_data_ptr(), x.size(0),
          x.size(1), positions(x), !x.is_contiguous(), o.lam, int(o.correction), o.leave_one_out);
}

// The output and two numbers per channel.
std::tuple<Tensor, Tensor> forward(const Tensor& x, double lam, std::int64_t correction, bool leave_one_out) {
    const auto accumulation_dtype = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const Tensor statistics = at::empty({2, x.size(0), x.size(1)}, x.options().dtype(accumulation_dtype)), y = at::empty_like(x);
    run(x, nullptr, y, statistics, {lam, correction, leave_one_out});
    return {y, statistics};
}

Tensor backward(const Tensor& x, const Tensor& grad_output, const Tensor& statistics, double lam, std::int64_t correction,
                bool leave_one_out) {
    Tensor g = grad_output;
    if (g.strides() != x.strides() || g.scalar_type() != x.scalar_type()) g = at::empty_like(x).copy_(g);
    const Tensor out = at::empty_like(x);
    run(x, g.const_data_ptr(), out, statistics, {lam, correction, leave_one_out});
    return out;
}

// The same, called so that modes and subclasses see it.
template <class Signature> auto operator_named(const char* name) {
    return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

std::tuple<Tensor, Tensor> dispatched_forward(const Tensor& x, const Options& o) {
    return operator_named<decltype(forward)>("simam_edu::native").call(x, o.lam, o.correction, o.leave_one_out);
}

Tensor dispatched_backward(const Tensor& x, const Tensor& g, const Tensor& statistics, const Options& o) {
    const auto found = operator_named<decltype(backward)>("simam_edu::native_backward");
    return found.call(x, g, statistics, o.lam, o.correction, o.leave_one_out);
}

// The gradient of the input from what the forward pass kept.
Tensor gradient(const Tensor& x, const Tensor& g, const Tensor& statistics, const Options& o) {
    const bool traced = is_subclass(x) || is_subclass(statistics);
    // A gradient that is to be differentiated, or is no plain map, is left to operations that autograd knows.
    if (at::GradMode::is_enabled() || !(traced || is_plain(g))) {
        using Gradient = Tensor(const Tensor&, const Tensor&, double, std::int64_t, bool);
        return operator_named<Gradient>("simam_edu::gradient").call(x, g, o.lam, o.correction, o.leave_one_out);
    }
    if (traced || is_watched()) return dispatched_backward(x, g, statistics, o);
    return backward(x, g, statistics, o.lam, o.correction, o.leave_one_out);
}

// The input and two numbers per channel are kept for the backward pass.
struct SimAMBackward : Node {
    SavedVariable x, statistics;
    Options options;

    std::string name() const override { return "SimAMBackward"; }
    void release_variables() override { x.reset_data(), statistics.reset_data(); }

    variable_list apply(variable_list&& grad_output) override {
        if (!grad_output[0].defined()) return {Tensor()};
        return {gradient(x.unpack(), grad_output[0], statistics.unpack(), options)};
    }

#if SIMAM_COMPILED_AUTOGRAD
    // What a compiled backward pass is specialized on, and the call that is written into it.
    void compiled_args(torch::dynamo::autograd::CompiledNodeArgs& args) const override {
        args.collect(x, /*is_output=*/false);
        args.collect(statistics, /*is_output=*/false);
        args.collect(options.lam);
        args.collect(options.correction);
        args.collect(options.leave_one_out);
    }

    variable_list apply_with_saved(const variable_list& grad_output, torch::dynamo::autograd::SwapSavedVariables& saved) override {
        using namespace torch::dynamo::autograd;
        saved.before(x);
        saved.before(statistics);
        PackedArgs packed;
        packed.pack(x.unpack());
        packed.pack(statistics.unpack());
        packed.pack(options.lam);
        packed.pack(options.correction);
        packed.pack(options.leave_one_out);
        const std::vector<at::TypePtr> types{at::TensorType::get(), at::TensorType::get(), at::FloatType::get(), at::IntType::get(),
                                             at::BoolType::get()};
        const auto& compiler = getPyCompilerInterface();
        const auto call = compiler->bind_function(saved.get_py_compiler(), name(), compiled, types, /*is_custom_function=*/true,
                                                  /*is_traceable=*/true);
        const auto metadata = IValuePacker<std::vector<std::optional<torch::autograd::InputMetadata>>>::pack(
            get_input_metadata(next_edges()));
        auto results = compiler->call_function(saved.get_py_compiler(), "apply_functional", call, grad_output, packed.vec(), metadata);
        saved.after(x);
        saved.after(statistics);
        return results;
    }

    static variable_list compiled(const variable_list& grad_output, const std::vector<c10::IValue>& packed) {
        if (!grad_output[0].defined()) return {Tensor()};
        const Options options{packed[2].toDouble(), packed[3].toInt(), packed[4].toBool()};
        return {dispatched_backward(packed[0].toTensor(), grad_output[0], packed[1].toTensor(), options)};
    }
#endif
};

// Earlier versions of torch hold their nodes by std::shared_ptr.
template <class T> auto new_node() {
    using Pointer = decltype(torch::autograd::Edge::function);
    if constexpr (std::is_same_v<Pointer, std::shared_ptr<Node>>) return std::make_shared<T>();
    else return c10::make_intrusive<T>();
}

std::optional<Tensor> simam_of(const Tensor& x, double lam, std::int64_t correction, bool leave_one_out) {
    if (!is_plain(x) || format(x.scalar_type()) < 0 || x.dim() < 3 || x.dim() > 5) return std::nullopt;
    if (positions(x) < 2 || x.size(1) < 1 || !(x.is_contiguous() || is_channels_last(x))) return std::nullopt;
    const Options options{lam, correction, leave_one_out};
    const at::AutoDispatchBelowADInplaceOrView no_graph;
    const auto [y, statistics] = is_watched() ? dispatched_forward(x, options) : forward(x, lam, correction, leave_one_out);
    if (at::GradMode::is_enabled() && x.requires_grad()) {
        const auto node = new_node<SimAMBackward>();
        node->set_next_edges(torch::autograd::collect_next_edges(x));
        node->x = SavedVariable(x, /*is_output=*/false);
        node->statistics = SavedVariable(statistics, /*is_output=*/false);
        node->options = options;
        torch::autograd::set_history(y, node);
    }
    return y;
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
