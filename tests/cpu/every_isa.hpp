// SPDX-License-Identifier: Apache-2.0
#pragma once
// every_isa: runs a test once for every instruction set that this machine has.

#include <tempera/cpu/cpu.hpp>

#include <cstdlib>
#include <string>

#include "../catch.hpp"

/// f(cpu&) with a device of two threads for each instruction set, from portable upwards.
template <class F>
void every_isa(F const& f) {
    for (tempera::isa const level :
         {tempera::isa::portable, tempera::isa::avx2, tempera::isa::avx512, tempera::isa::avx512_bf16,
          tempera::isa::amx}) {
        if (level > tempera::detected_isa()) break;
        std::string const name(tempera::name_of(level));
        setenv("TEMPERA_ISA", name.c_str(), 1);
        tempera::cpu device{.threads = 2};
        unsetenv("TEMPERA_ISA");
        CAPTURE(name);
        REQUIRE(device.level() == level);
        f(device);
    }
}
