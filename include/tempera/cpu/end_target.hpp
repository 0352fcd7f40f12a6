// SPDX-License-Identifier: Apache-2.0
// Closes the region that begin_target.hpp opened.

}  // namespace tempera::cpu_kernels::TEMPERA_TARGET_NAME

#if defined(__clang__)
#pragma float_control(pop)
#if TEMPERA_TARGET >= 2 && TEMPERA_TARGET <= 5
#pragma clang attribute pop
#endif
#elif defined(__GNUC__)
#pragma GCC diagnostic pop
#pragma GCC pop_options
#endif

#undef TEMPERA_INLINE
#undef TEMPERA_UNROLL
#undef TEMPERA_TILE
#undef TEMPERA_TARGET_NAME
#undef TEMPERA_VECTOR_FLOATS
#undef TEMPERA_TARGET
