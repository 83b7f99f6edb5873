package kerasfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// layerConfig is what a configuration tells of a layer, or of a model with layers.
type layerConfig struct {
	class, name string
	layers      []layerConfig
}

// deepest is how many models may lie within one another. Each level is read from its own text, so that the depth multiplies
// what reading takes.
const deepest = 32

// readConfig reads a configuration. What is no layer's tells nothing, and no more do layers too deep.
func readConfig(text []byte, depth int) (c layerConfig) {
	var l struct {
		Class  string          `json:"class_name"`
		Config json.RawMessage `json:"config"`
	}
	var config struct {
		Name   string            `json:"name"`
		Layers []json.RawMessage `json:"layers"`
	}
	if depth > deepest || json.Unmarshal(text, &l) != nil {
		return c
	}
	// An error may be that the layers are no list; then the name stands.
	if err := json.Unmarshal(l.Config, &config); err != nil && !errors.As(err, new(*json.UnmarshalTypeError)) {
		return c
	}
	c.class, c.name = l.Class, config.Name
	for _, layer := range config.Layers {
		c.layers = append(c.layers, readConfig(layer, depth+1))
	}
	return c
}

// layerNames are what a configuration tells of a model's layers by the paths of their groups: the n-th layer of class Conv2D is
// layers/conv2d_n, a layer in it layers/functional/layers/conv2d. The zero value tells nothing.
type layerNames struct {
	names map[string]string
	order map[string]int // in the model
}

// names returns those of the model's layers.
func (c layerConfig) names() layerNames {
	out := layerNames{map[string]string{}, map[string]int{}}
	c.collect("", out)
	return out
}

func (c layerConfig) collect(path string, out layerNames) {
	out.names[path], out.order[path] = c.name, len(out.order)
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
