// SPDX-License-Identifier: Apache-2.0
#pragma once
// repeated: does work that is the same each time but for the place of its memory. On the cpu it is done again; a device may
// have a way of its own (gpu: recordings, which launch it as one graph).

namespace tempera {

template <class Place, class Device>
class repeated {
public:
    explicit repeated(Device&) {}

    template <class Work>
    void operator()(Place const&, Work const& work) {
        work();
    }
};

template <class Place, class Device>
requires requires { typename Device::template repeats<Place>; }
class repeated<Place, Device> : public Device::template repeats<Place> {
public:
    using Device::template repeats<Place>::repeats;
};

}  // namespace tempera
