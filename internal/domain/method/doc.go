// Package method has the methods of domain adaptation that learn by gradient descent, as turns of a training by package
// transfer.
//
//   - A [Method] is a way of adapting with its settings. Its word alone stands for the settings as they were published.
//   - A [Network] is what learns: layers up to the features that are aligned, the bottleneck, a task head that tells the
//     classes by them, and for adversarial methods a discriminator that tells the domain.
//   - A [Plan] makes turns of a strategy's phases: which rows the batches have, what the loss is made of, what learns.
//   - [Judged] is an objective that besides lets validators judge the weights after each epoch, by rows of both domains.
//
// No turn is given a label of the target that was not asked for.
package method
