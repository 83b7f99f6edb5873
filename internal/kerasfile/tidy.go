package kerasfile

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/internal/stored"
)

// tidy brings names to those that Keras 3 would give in a session that made nothing else.
func tidy(tensors []stored.Tensor) {
	first := map[string]int{} // the smallest number of each name that Keras gave
	separable := map[string]bool{}
	for _, t := range tensors {
		layer, variable, _ := strings.Cut(t.Name, "/")
		if base, n := cutNumber(layer); given(base) {
			if least, there := first[base]; !there || n < least {
				first[base] = n
			}
		}
		if variable == "pointwise_kernel" {
			separable[layer] = true
		}
	}
	for i, t := range tensors {
		layer, variable, _ := strings.Cut(t.Name, "/")
		if variable == "depthwise_kernel" && !separable[layer] {
			variable = "kernel"
		}
		if base, n := cutNumber(layer); given(base) {
			layer = base
			if n -= first[base]; n > 0 {
				layer = fmt.Sprint(base, "_", n)
			}
		}
		tensors[i].Name = layer + "/" + variable
	}
}

// given tells whether a name, without its number, is one that Keras gives to layers that have none.
func given(base string) bool {
	switch base {
	case "conv2d", "depthwise_conv2d", "separable_conv2d", "batch_normalization", "dense", "normalization":
		return true
	}
	return false
}

// cutNumber parts conv2d_3 into conv2d and 3; the number of a name without one is 0.
func cutNumber(name string) (base string, n int) {
	at := strings.LastIndexByte(name, '_')
	if at < 0 {
		return name, 0
	}
	n, err := strconv.Atoi(name[at+1:])
	if err != nil || n < 0 || name[at+1] == '+' {
		return name, 0
	}
	return name[:at], n
}
