package preprocess

import (
	"errors"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/picture/render"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Render is a [render.Look] as YAML spells it.
type Render struct {
	Sketch  float64 `yaml:"sketch" recipe:"-" min:"0" max:"1" doc:"0 to 1: towards a pencil drawing"`
	Thermal float64 `yaml:"thermal" recipe:"-" min:"0" max:"1" doc:"0 to 1: towards the false colours of a thermal camera"`
	Invert  float64 `yaml:"invert" recipe:"-" min:"0" max:"1" doc:"0 to 1: towards the negative"`
	Cast    float64 `yaml:"cast" recipe:"-" min:"-1" max:"1" doc:"-1 to 1: a dark blue colour cast above 0, the yellow of lamp light below 0"`
	Blur    float64 `yaml:"blur" recipe:"-" min:"0" max:"0.25" doc:"0 to 0.25: standard deviation of a blur, as a fraction of the height"`
	Noise   float64 `yaml:"noise" recipe:"-" min:"0" max:"1" doc:"0 to 1: standard deviation of noise, as a fraction of the full range"`
}

// DecodeParam implements params.Decoder: the word of an effect at full strength, or a mapping.
func (r *Render) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		switch node.Value {
		case "sketch":
			r.Sketch = 1
		case "thermal":
			r.Thermal = 1
		case "invert":
			r.Invert = 1
		default:
			d.Errorf(node, "sketch, thermal, invert, or such as {blur: 0.02, noise: 0.1, cast: 0.5}", "there is no effect %q", node.Value)
		}
		return
	}
	type plain Render
	d.Into(node, (*plain)(r))
}

// ParamSchema implements params.Schemer.
func (Render) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"enum": []string{"sketch", "thermal", "invert"}}, inner}}
}

// look is what it means; nothing if it is not given.
func (r *Render) look() render.Look {
	if r == nil {
		return render.Look{}
	}
	return render.Look{Sketch: r.Sketch, Thermal: r.Thermal, Invert: r.Invert, Cast: r.Cast, Blur: r.Blur, Noise: r.Noise}
}

func (r *Render) check(path string) error {
	var errs []error
	for _, w := range r.look().Check() {
		errs = append(errs, pipeline.ParamError(path+"."+w.Field, "%s", w.Why))
	}
	return errors.Join(errs...)
}
