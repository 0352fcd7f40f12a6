// SPDX-License-Identifier: Apache-2.0
#pragma once
// distill: a student learns the distribution that a fixed teacher gives on the same augmented images (SimCLRv2
// section 2, eq. 2 and 3). The set's labels count where the loss asks for them (alpha < 1): pass the labeled images,
// the unlabeled ones, or both (unlabeled_except). Self-distillation: a student with the teacher's network.

#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include <tempera/loss/distillation.hpp>
#include <tempera/pipeline/train.hpp>
#include <tempera/runtime/repeated.hpp>

namespace tempera {

/// Student and teacher run on the same device; the teacher in inference form. Both classify with their last output. Throws error
/// as pretrain does, and for a teacher of other classes or another input.
template <class D, precision P, precision TeacherPrecision, Loss<D> L, Optimizer<D> O>
training_history distill(basic_model<D, P>& student, basic_model<D, TeacherPrecision>& teacher, image_set const& images,
                         L const& loss, O const& optimizer, train_options const& options) {
    std::string const stage = detail::stage_name(options, "distill");
    auto const classes = [](auto const& m) {
        return m.plan().values[m.plan().outputs[m.plan().outputs.size() - 1].value];
    };
    if (static_cast<void const*>(&student) == static_cast<void const*>(&teacher))
        throw error(stage, "a teacher beside the student", "one model as both",
                    "for self-distillation make a second model of the same network");
    if (!(classes(student) == classes(teacher)))
        throw error(stage, {"a student of the teacher's ", classes(teacher).channels, " classes"},
                    classes(student).channels, "give both classifiers the same .classes");
    if (!(student.plan().input() == teacher.plan().input()))
        throw error(stage, "student and teacher of the same input shape", "different ones",
                    "they see the same augmented images");
    detail::require_training(stage, student, images, options, 1);
    detail::require_trained(stage, student);
    detail::require_validation(options, images, student);
    if constexpr (std::is_same_v<L, distillation>)
        if (loss.alpha < 1) detail::require_classes(stage, images, classes(student).channels);
    auto& device = student.device();
    device_batch<std::int32_t, D> labels(device);
    repeated<std::pair<float const*, int>, D> teaching(device);
    view<float const> teacher_logits;  // in the same place, also where a graph makes them
    return detail::train_loop(
        student, images, optimizer, options, {stage, "agreement with the teacher"}, 1,
        {.loss = detail::loss_of(stage, student, loss, 1), .place = [&](view<float const> x, image_batch const& batch) {
             teaching({x.data, x.dims.n}, [&] { teacher_logits = teacher.predict(x).last(); });
             return detail::step_input{x, {.labels = labels(batch.labels), .teacher_logits = teacher_logits}};
         }});
}

}  // namespace tempera
