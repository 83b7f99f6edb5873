// Package nn defines networks: what layers there are and how they are joined, apart from how they
// are computed. Package frozen turns a definition into a fused inference program, package train
// into a graph that learns; both read the one definition, and a trained head is stored with it.
//
// # Words
//
//   - A [Network] is a directed acyclic graph of named layers, in an order in which each layer
//     comes after its inputs. Its inputs and outputs are layers and go by their names; unless it says
//     otherwise, its only output is its last layer.
//   - A [Layer] is a name, an [Op] and the names of the layers it takes as inputs. An Op is one of
//     the struct types of this package: [Conv], [Dense], [Add] …; users switch on the type.
//   - Names are paths: "block3.expand.conv" lies in the scope "block3.expand", which lies in
//     "block3". A scope stands for its last layer, so that users can say block3.
//   - A [Passage] is a layer that everything goes through: there the network can be parted in what
//     lies below, [Network.Cut], and what lies above, [Network.Above].
//   - A [Shape] is that of one example, without the batch: [height, width, channels], channels
//     last, or [features].
//   - A [Parameter] is a tensor that a layer needs, named after the layer and its [Role]:
//     "block3.expand.conv.weight". [Weights] are such tensors by name.
//
// A Network is made by a [Builder] or read from JSON. Either way it is checked whole: one that
// exists is consistent, its shapes are known, and it does not change.
package nn
