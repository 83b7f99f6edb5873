package kerasfile

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// layerConfig is what a configuration tells of a layer, or of a model with layers.
type layerConfig struct {
	class, name string
	layers      []layerConfig
}

// UnmarshalJSON implements [json.Unmarshaler]. What is no layer's configuration tells nothing.
func (c *layerConfig) UnmarshalJSON(text []byte) error {
	var l struct {
		Class  string          `json:"class_name"`
		Config json.RawMessage `json:"config"`
	}
	var config struct {
		Name   string          `json:"name"`
		Layers json.RawMessage `json:"layers"`
	}
	if json.Unmarshal(text, &l) == nil && json.Unmarshal(l.Config, &config) == nil {
		c.class, c.name = l.Class, config.Name
		_ = json.Unmarshal(config.Layers, &c.layers) // no list: no layers
	}
	return nil
}

// names returns the names of the model's layers by the paths of their groups: the n-th layer of class
// Conv2D is layers/conv2d_n, a layer in it layers/functional/layers/conv2d.
func (c layerConfig) names() map[string]string {
	out := map[string]string{}
	c.collect("", out)
	return out
}

func (c layerConfig) collect(path string, out map[string]string) {
	out[path] = c.name
	used := map[string]int{}
	for _, l := range c.layers {
		name := groupName(l.class)
		n := used[name]
		used[name]++
		if n > 0 {
			name = fmt.Sprint(name, "_", n)
		}
		l.collect(strings.TrimPrefix(path+"/layers/"+name, "/"), out)
	}
}

// groupName returns how Keras calls the group of the first layer of a class: batch_normalization for
// BatchNormalization, conv2d for Conv2D.
func groupName(class string) string {
	class = regexp.MustCompile(`(.)([A-Z][a-z]+)`).ReplaceAllString(class, "${1}_$2")
	class = regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(class, "${1}_$2")
	return strings.ToLower(class)
}
