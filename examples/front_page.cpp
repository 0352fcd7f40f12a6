// SPDX-License-Identifier: Apache-2.0
// SimCLRv2 in one program: pretrain without labels, fine-tune with 1 % of them, distill into a small network. Some
// twenty seconds on two cores. Command: front_page [epochs]
#include <cstdio>
#include <cstdlib>
#include <tempera/tempera.hpp>
using namespace tempera;

inline constexpr shape image{28, 28, 1};
inline constexpr auto encoder =
    resnet<resnet_config{.depth = 10, .base_filters = 16, .stages = 3, .stem = stem::small, .selective_kernel = true}>;
inline constexpr auto head = projection_head<projection_config{.layers = 3, .out = 64}>;
inline constexpr auto contrastive = simclr(encoder, head);
inline constexpr auto tuned = classifier(encoder, head, classifier_config{.tap = 1, .classes = 10});
inline constexpr auto small = resnet<resnet_config{.depth = 10, .base_filters = 8, .stages = 3, .stem = stem::small}>;
inline constexpr auto student_network = classifier(small, classifier_config{.classes = 10});
static_assert(plan_of<student_network, image>.parameters < plan_of<tuned, image>.parameters / 4);

int main(int count, char** arguments) {
    int const epochs = count > 1 ? std::atoi(arguments[1]) : 6;
    cpu device;
    auto const [train, test] = fashion_mnist("examples/data");
    image_set const labeled = balanced_fraction(train, 0.01, 1);
    augmentation const views = simclr_augmentation{.strength = 0.75F, .blur = 0, .area_min = 0.2F};
    augmentation const crops = crop_and_flip{.area_min = 0.2F};
    progress_sink const show = terminal_progress(stderr);

    model<contrastive, image> m{device, {.max_batch = 512}};
    pretrain(m, unlabeled(train), nt_xent{.temperature = 0.2F}, lars{},
             {.epochs = epochs, .learning_rate = 4.0F, .warmup_epochs = 0.5F, .augment = views, .progress = show});

    model<tuned, image> teacher{device};
    fine_tune(teacher, m, labeled, sgd{}, {.steps = 80, .learning_rate = 0.02F, .augment = crops, .progress = show});

    model<student_network, image> student{device};
    distill(student, teacher, unlabeled(train), distillation{}, sgd{},
            {.epochs = epochs, .learning_rate = 0.5F, .augment = crops, .progress = show});

    std::printf("top-1 with %d labels: teacher %.1f %%, student %.1f %%\n", labeled.size(),
                100 * evaluate(teacher, test).top1, 100 * evaluate(student, test).top1);
}
