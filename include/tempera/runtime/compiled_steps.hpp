// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a step of a model on the cpu runs, compiled once by tempera::compiled and only declared for its users.

#include <tempera/cpu.hpp>
#include <tempera/runtime/basic_model.hpp>

#if defined(TEMPERA_COMPILED)
#if defined(TEMPERA_COMPILING)
#define TEMPERA_INSTANCE template
#else
#define TEMPERA_INSTANCE extern template
#endif

namespace tempera {

TEMPERA_INSTANCE void detail::forward_step<float, precision::float32>(cpu&, binding const&, schedule_step const&);
TEMPERA_INSTANCE void detail::forward_step<bf16, precision::bfloat16>(cpu&, binding const&, schedule_step const&);
TEMPERA_INSTANCE void detail::backward_step<float, precision::float32>(cpu&, binding const&, schedule_step const&);
TEMPERA_INSTANCE void detail::backward_step<bf16, precision::bfloat16>(cpu&, binding const&, schedule_step const&);
TEMPERA_INSTANCE class basic_model<cpu, precision::float32>;
TEMPERA_INSTANCE class basic_model<cpu, precision::bfloat16>;
TEMPERA_INSTANCE load_report
basic_model<cpu, precision::float32>::load_matching(basic_model<cpu, precision::float32> const&);

/// Named by every file that uses tempera::compiled: one that sees another TEMPERA_MAX_OPS than the library does not link.
template <int Ops>
void compiled_with_TEMPERA_MAX_OPS();
#if defined(TEMPERA_COMPILING)
template <>
void compiled_with_TEMPERA_MAX_OPS<max_ops>() {}
#else
[[gnu::used]] static void (*const compiled_alike)() = &compiled_with_TEMPERA_MAX_OPS<max_ops>;
#endif

}  // namespace tempera

#undef TEMPERA_INSTANCE
#endif
