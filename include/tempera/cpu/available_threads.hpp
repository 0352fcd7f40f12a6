// SPDX-License-Identifier: Apache-2.0
#pragma once
// available_threads: how many threads this process may run at once: the cores of its affinity mask, no
// more than its cgroup's quota (version 2: cpu.max of its group and of every group above it).

#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace tempera {

/// Cores that a quota file "<microseconds or max> <period>" allows, rounded up; 0 where it sets no limit.
inline int cores_of_quota(char const* line) {
    long long quota = 0;
    long long period = 0;
    if (std::sscanf(line, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0) return 0;
    long long const cores = (quota + period - 1) / period;
    return cores > 1024 ? 0 : static_cast<int>(cores);
}

inline int available_threads() {
    int count = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0) count = CPU_COUNT(&mask);

    char line[512];
    std::string group;
    if (std::FILE* const file = std::fopen("/proc/self/cgroup", "r")) {
        while (std::fgets(line, sizeof line, file) != nullptr) {
            if (std::strncmp(line, "0::", 3) == 0) group.assign(line + 3, std::strcspn(line + 3, "\n"));
        }
        std::fclose(file);
    }
    for (;;) {
        if (!group.empty() && group.back() == '/') group.pop_back();
        if (std::FILE* const file = std::fopen(("/sys/fs/cgroup" + group + "/cpu.max").c_str(), "r")) {
            int const cores = std::fgets(line, sizeof line, file) != nullptr ? cores_of_quota(line) : 0;
            std::fclose(file);
            if (cores > 0 && cores < count) count = cores;
        }
        if (group.empty()) break;
        group.erase(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
    }
#endif
    return count > 0 ? count : 1;
}

}  // namespace tempera
