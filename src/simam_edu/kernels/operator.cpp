// An operator of torch around the kernel of native.cpp, with its own step of autograd.
//
// native.py builds the two files into one library. One call of the operator does all that a plain map needs. For what is none,
// such as a tensor in a transform of torch.func, it returns None, and the caller takes another path.

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/library.h>

#include <memory>
#include <optional>
#include <string>

extern "C" void simam(int format, const void* x, const void* g, void* out, void* saved, std::int64_t images, std::int64_t channels,
                      std::int64_t neurons, int channels_last, double lam, int correction, int leave_one_out);

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

// What native.cpp calls a dtype, or -1.
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

std::int64_t neurons(const Tensor& x) {
    std::int64_t product = 1;
    for (auto axis = x.dim() - 1; axis > 1; --axis) product *= x.size(axis);
    return product;
}

void run(const Tensor& x, const void* g, const Tensor& out, const Tensor& statistics, const Options& o) {
    simam(format(x.scalar_type()), x.const_data_ptr(), g, out.mutable_data_ptr(), statistics.mutable_data_ptr(), x.size(0),
          x.size(1), neurons(x), !x.is_contiguous(), o.lam, int(o.correction), o.leave_one_out);
}

// The input and two numbers a channel are kept for the backward pass.
struct SimAMBackward : Node {
    SavedVariable x, statistics;
    Options options;

    std::string name() const override { return "SimAMBackward"; }
    void release_variables() override { x.reset_data(), statistics.reset_data(); }

    variable_list apply(variable_list&& incoming) override {
        Tensor g = incoming[0];
        if (!g.defined()) return {Tensor()};
        const Tensor x = this->x.unpack();
        // A gradient that is to be differentiated, or is no plain map, is left to operations that autograd knows.
        if (at::GradMode::is_enabled() || !is_plain(g)) {
            // native.py has it.
            using Gradient = Tensor(const Tensor&, const Tensor&, double, std::int64_t, bool);
            const auto gradient = c10::Dispatcher::singleton().findSchemaOrThrow("simam_edu::gradient", "").typed<Gradient>();
            return {gradient.call(x, g, options.lam, options.correction, options.leave_one_out)};
        }
        if (g.strides() != x.strides() || g.scalar_type() != x.scalar_type()) g = at::empty_like(x).copy_(g);
        const Tensor out = at::empty_like(x);
        run(x, g.const_data_ptr(), out, statistics.unpack(), options);
        return {out};
    }
};

// Earlier versions of torch hold their nodes by std::shared_ptr.
template <class T> auto new_node() {
    using Pointer = decltype(torch::autograd::Edge::function);
    if constexpr (std::is_same_v<Pointer, std::shared_ptr<Node>>) return std::make_shared<T>();
    else return c10::make_intrusive<T>();
}

std::optional<Tensor> simam_of(const Tensor& x, double lam, std::int64_t correction, bool leave_one_out) {
    if (!is_plain(x) || format(x.scalar_type()) < 0 || x.dim() < 3 || x.dim() > 5) return std::nullopt;
    if (neurons(x) < 2 || x.size(1) < 1 || !(x.is_contiguous() || is_channels_last(x))) return std::nullopt;
    const Options options{lam, correction, leave_one_out};
    const at::AutoDispatchBelowADInplaceOrView no_graph;
    const auto computed_in = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const Tensor statistics = at::empty({2, x.size(0), x.size(1)}, x.options().dtype(computed_in)), y = at::empty_like(x);
    run(x, nullptr, y, statistics, options);
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

TORCH_LIBRARY_FRAGMENT(simam_edu, library) {
    library.def("simam(Tensor x, float lam, int correction, bool leave_one_out) -> Tensor?", simam_of);
}
