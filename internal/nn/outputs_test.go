package nn_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// twoHeads is a network of two inputs, whose trunk two heads share; a layer after the heads is none of its
// outputs.
func twoHeads(t testing.TB) *nn.Network {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Layer("left.dense", nn.Dense{Out: 3}, b.Input("left", 2))
	x = b.Layer("trunk", nn.Add{}, x, b.Input("right", 3))
	label := b.Layer("label.logits", nn.Dense{Out: 4}, x)
	domain := b.Layer("domain.logits", nn.Dense{Out: 2}, x)
	b.Layer("aside", nn.Softmax{}, domain)
	b.Outputs(domain, label)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func names(layers []nn.Layer) string {
	var out []string
	for _, l := range layers {
		out = append(out, l.Name)
	}
	return strings.Join(out, " ")
}

func TestOutputsAreWhatTheNetworkSays(t *testing.T) {
	net := twoHeads(t)
	if got := names(net.Outputs()); got != "domain.logits label.logits" {
		t.Errorf("outputs %s", got)
	}
	if got := names(net.Inputs()); got != "left right" {
		t.Errorf("inputs %s", got)
	}
	if cuts := net.Cuts(); len(cuts) != 1 || cuts[0].Layer != "trunk" {
		t.Errorf("cuts %v", cuts)
	}
	above, err := net.Above("trunk")
	if err != nil {
		t.Fatal(err)
	}
	if got := names(above.Layers()) + "; " + names(above.Outputs()); got != "trunk label.logits domain.logits; domain.logits label.logits" {
		t.Errorf("above the trunk: %s", got)
	}
	cut, err := net.Cut("label", "trunk", "label.logits")
	if err != nil {
		t.Fatal(err)
	}
	if got := names(cut.Layers()) + "; " + names(cut.Outputs()); got != "left left.dense right trunk label.logits; label.logits trunk" {
		t.Errorf("cut: %s", got)
	}
	renamed, err := net.Rename(func(name string) string { return "a." + name })
	if err != nil {
		t.Fatal(err)
	}
	if got := names(renamed.Outputs()); got != "a.domain.logits a.label.logits" {
		t.Errorf("renamed: %s", got)
	}
	if got := names(small(t).Outputs()); got != "probabilities" {
		t.Errorf("a network that names no output has %s", got)
	}
	for want, outputs := range map[string][]string{"not a layer": {"trunk", "label"}, "named twice": {"trunk", "trunk"}} {
		if _, err := nn.New(net.Layers(), outputs...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("outputs %v: error %v", outputs, err)
		}
	}
}

func TestOutputsAreStored(t *testing.T) {
	for _, net := range []*nn.Network{twoHeads(t), small(t)} {
		text, err := json.Marshal(net)
		if err != nil {
			t.Fatal(err)
		}
		var back nn.Network
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if got, want := names(back.Outputs()), names(net.Outputs()); got != want {
			t.Errorf("outputs %s, want %s: %s", got, want, text)
		}
		if several := len(net.Outputs()) > 1; several != strings.Contains(string(text), `"outputs":["`) {
			t.Errorf("outputs that are more than the last layer are written, and no others: %s", text)
		}
	}
}

func TestElementsOfInputs(t *testing.T) {
	layers := []nn.Layer{{Name: "ids", Op: nn.Input{Shape: nn.Shape{3}, Element: nn.Int32}}}
	net, err := nn.New(layers)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(net)
	if err != nil || !strings.Contains(string(text), `"with":{"shape":[3],"element":"int32"}`) {
		t.Errorf("%s, %v", text, err)
	}
	var back nn.Network
	if err := json.Unmarshal(text, &back); err != nil || back.Element("ids") != nn.Int32 {
		t.Errorf("read back as %v: %v", back.Element("ids"), err)
	}
	if err := json.Unmarshal([]byte(strings.Replace(string(text), "int32", "int33", 1)), &back); err == nil {
		t.Error("took an element that there is not")
	}
	if _, err := nn.New(append(slices.Clone(layers), nn.Layer{Name: "a", Op: nn.Softmax{}, Inputs: []string{"ids"}})); err == nil || !strings.Contains(err.Error(), "holds int32") {
		t.Errorf("ids went into a softmax: %v", err)
	}
}
