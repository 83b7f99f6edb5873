package torchfile

import (
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/stored"
)

// Keys under which checkpoints hold a state dict. Averaged weights come first: they are those whose
// accuracy is published, and timm prefers them, too.
func stateDictKeys() []string {
	return []string{
		"state_dict_ema", "model_ema", "ema_state_dict", "ema",
		"state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "module", "params", "checkpoint",
	}
}

// named lists the tensors of the state dict that an object is, or holds.
func named(root any, bigEndian bool) ([]stored.Tensor, error) {
	d, err := stateDict(root)
	if err != nil {
		return nil, err
	}
	prefix := wrapping(d)
	var out []stored.Tensor
	for _, key := range d.keys {
		t, ok := d.values[key].(tensor)
		name := strings.TrimPrefix(key, prefix)
		if !ok || key == averaged {
			continue // notes of the module's own
		}
		opened, err := t.open(name, bigEndian)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		out = append(out, opened)
	}
	return out, nil
}

// stateDict finds the state dict in an object.
func stateDict(root any) (*dict, error) {
	d, ok := root.(*dict)
	if !ok {
		return nil, fmt.Errorf("it holds %s, not a dict of tensors by name: save model.state_dict()", describe(root))
	}
	found := stateDictIn(d, maxNesting)
	if found == nil {
		return nil, fmt.Errorf("it holds no state dict; the keys of its dict are: %s", first(d.keys))
	}
	return found, nil
}

// maxNesting is how deep a state dict may lie in a checkpoint.
const maxNesting = 3

// stateDictIn returns the state dict that a checkpoint holds, or that d is; nil if it is neither.
func stateDictIn(d *dict, depth int) *dict {
	for _, key := range stateDictKeys() {
		if inner, ok := d.values[key].(*dict); ok && depth > 0 {
			if found := stateDictIn(inner, depth-1); found != nil {
				return found
			}
		}
	}
	if hasTensors(d) {
		return d
	}
	return nil
}

func hasTensors(d *dict) bool {
	for _, v := range d.values {
		if _, ok := v.(tensor); ok {
			return true
		}
	}
	return false
}

// averaged is the tensor that torch.optim.swa_utils.AveragedModel adds to those of its module.
const averaged = "n_averaged"

// wrapping returns what modules that wrap another put before all its names.
func wrapping(d *dict) string {
	all := ""
	for {
		found := ""
		for _, prefix := range []string{"module.", "_orig_mod.", "model."} {
			if everyKey(d, all+prefix) {
				found = prefix
			}
		}
		if found == "" {
			return all
		}
		all += found
	}
}

func everyKey(d *dict, prefix string) bool {
	for _, key := range d.keys {
		if key != averaged && !strings.HasPrefix(key, prefix) {
			return false
		}
	}
	return true
}

// first joins a few of many names.
func first(names []string) string {
	const few = 10
	if len(names) > few {
		return strings.Join(names[:few], ", ") + fmt.Sprintf(" and %d more", len(names)-few)
	}
	return strings.Join(names, ", ")
}
