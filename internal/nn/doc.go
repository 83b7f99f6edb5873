// Package nn defines networks: their layers and connections, independently of how they are computed.
// Package frozen compiles a definition into a fused inference program, package train builds a training
// graph from it; both use the same definition, which is stored with a trained head.
//
// # Terms
//
//   - A [Network] is a directed acyclic graph of named layers, in an order in which each layer
//     comes after its inputs. Its inputs and outputs are layers, identified by name; by default its
//     only output is its last layer.
//   - A [Layer] is a name, an [Op] and the names of the layers it takes as inputs. An Op is one of
//     the struct types of this package: [Conv], [Dense], [Add] …; users switch on the type.
//   - Names are paths: "block3.expand.conv" is in the scope "block3.expand", which is in
//     "block3". The name of a scope refers to its last layer, so that users can write block3.
//   - A [Passage] is a layer that every path goes through: the network can be divided there into the
//     part below, [Network.Cut], and the part above, [Network.Above].
//   - A [Shape] is that of one example, without the batch: [height, width, channels], channels
//     last, or [features].
//   - A [Parameter] is a tensor that a layer needs, named after the layer and its [Role]:
//     "block3.expand.conv.weight". [Weights] are such tensors by name.
//
// A Network is made by a [Builder] or read from JSON. Either way it is checked completely: a Network
// is always consistent, has known shapes, and is immutable.
package nn
