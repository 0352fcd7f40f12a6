// SPDX-License-Identifier: Apache-2.0
// A custom op that runs on GPUs only, in a model on a CPU.
// expect: a custom op of this network does not run on this device
#include <tempera/runtime.hpp>

using namespace tempera;

struct remote {
    static constexpr device_set devices = on_gpu;
    constexpr shape infer(input_shapes in, declaration&) const { return in[0]; }
    static void forward(op_call&) {}
    static void backward(op_call&) {}
};
inline constexpr auto network = [](value x) { return x.apply(remote{}); };

int main() {
    cpu device;
    model<network, shape{8, 8, 3}> m{device};
}
