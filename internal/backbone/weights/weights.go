package weights

import (
	_ "embed"
	"strings"
)

//go:embed efficientnet_lite0.safetensors
var efficientNetLite0 string

//go:embed imagenet_classes.txt
var imageNetClasses string

// EfficientNetLite0 returns a safetensors file of float16 tensors, named as in PyTorch's
// efficientnet_lite_pytorch: _conv_stem.weight, _blocks.3._bn1.running_var, _fc.bias. Convolutions
// are [out, in/groups, height, width], the classifier is [1000, 1280].
//
// Each call returns a copy, the caller's own.
func EfficientNetLite0() []byte { return []byte(efficientNetLite0) }

// ImageNetClasses returns the names of the 1000 classes of ImageNet-1k, in the order of the
// logits of the networks trained on it.
func ImageNetClasses() []string {
	return strings.Split(strings.TrimSuffix(imageNetClasses, "\n"), "\n")
}
