package backbone

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/safetensors"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// heavy tells whether tests may take minutes.
func heavy() bool { return os.Getenv("TLPIPE_HEAVY") != "" }

// reference is a file of testdata with outputs of a framework's network, whose weights are filled by
// the formula that testdata/make_torchvision.py states, by the framework's names.
type reference struct {
	file     string
	backbone string
	variant  string
	naming   string
	quick    string // the case that every run tests, if it is quick enough; others are heavy
}

func references() []reference {
	return []reference{
		// make_torchvision.py
		{"resnet18", "resnet18", "torchvision", "torchvision", "97x130"},
		{"resnet34", "resnet34", "torchvision", "torchvision", ""},
		{"resnet50", "resnet50", "torchvision", "torchvision", ""},
		{"resnet101", "resnet101", "torchvision", "torchvision", ""},
		{"resnet152", "resnet152", "torchvision", "torchvision", ""},
		{"mobilenet_v2", "mobilenet_v2", "torchvision", "torchvision", "97x130"},
		{"vgg16", "vgg16", "torchvision", "torchvision", ""},
		{"vgg19", "vgg19", "torchvision", "torchvision", ""},
		{"densenet121", "densenet121", "torchvision", "torchvision", "97x130"},
		{"efficientnet_b0", "efficientnet_b0", "torchvision", "torchvision", "97x130"},
		{"inception_v3", "inception_v3", "torchvision", "torchvision", "107x140"},
		// make_keras.py
		{"nasnet_mobile", "nasnet_mobile", "keras", "keras", "97x130"},
		{"inception_resnet_v2", "inception_resnet_v2", "keras", "keras", ""},
		{"resnet50_keras", "resnet50", "keras", "keras", "97x130"},
		{"resnet101_keras", "resnet101", "keras", "keras", ""},
		{"resnet152_keras", "resnet152", "keras", "keras", ""},
		{"vgg16_keras", "vgg16", "keras", "keras", ""},
		{"vgg19_keras", "vgg19", "keras", "keras", ""},
		{"mobilenet_v2_keras", "mobilenet_v2", "keras", "keras", "97x130"},
		{"densenet121_keras", "densenet121", "keras", "keras", "97x130"},
		{"efficientnet_b0_keras", "efficientnet_b0", "keras", "keras", "97x130"},
		{"inception_v3_keras", "inception_v3", "keras", "keras", "107x140"},
		// make_timm.py, which finds that timm's other networks are torchvision's
		{"mobilenet_v2_timm", "mobilenet_v2", "torchvision", "timm", "97x130"},
		{"efficientnet_b0_timm", "efficientnet_b0", "torchvision", "timm", "97x130"},
		{"efficientnet_b0_timm_tf", "efficientnet_b0", "keras", "timm", "97x130"},
		{"efficientnet_lite0_timm", "efficientnet_lite0", "timm", "timm", "97x130"},
		{"efficientnet_lite0_timm_tf", "efficientnet_lite0", "tensorflow", "timm", "97x130"},
		{"inception_resnet_v2_timm", "inception_resnet_v2", "timm", "timm", ""},
		{"vgg16_timm", "vgg16", "torchvision", "timm", ""},
		{"vgg19_timm", "vgg19", "torchvision", "timm", ""},
		{"convnext_tiny_timm", "convnext_tiny", "timm", "timm", "97x130"},
		// make_vision_transformers.py
		{"vit_s16", "vit_s16", "timm", "timm", "80x112"},
		{"vit_b16", "vit_b16", "timm", "torchvision", ""},
		{"dinov2_s14", "dinov2_s14", "timm", "timm", "84x126"},
		{"dinov2_reg_s14", "dinov2_reg_s14", "timm", "timm, registers", "84x126"},
		{"clip_b32", "clip_b32", "timm", "timm", ""},
		// make_picture_towers.py
		{"siglip_b16", "siglip_b16", "transformers", "transformers", "80x112"},
		{"siglip_b16_timm", "siglip_b16", "timm", "timm", ""},
		{"clip_b32_openai", "clip_b32", "timm", "OpenAI", ""},
	}
}

// TestNetworksAgreeWithReferences holds the last map, the pooled features and the logits of every
// variant against those of the framework.
func TestNetworksAgreeWithReferences(t *testing.T) {
	for _, r := range references() {
		fixture, err := safetensors.Open(filepath.Join("testdata", r.file+".safetensors"), nil)
		if err != nil {
			t.Fatal(err)
		}
		var cases []string
		for _, x := range fixture.Tensors() {
			if size, _, _ := strings.Cut(x.Name, "/"); !slices.Contains(cases, size) {
				cases = append(cases, size)
			}
		}
		for _, size := range cases {
			t.Run(r.file+"/"+size, func(t *testing.T) {
				if !heavy() && size != r.quick {
					t.Skip("needs TLPIPE_HEAVY=1")
				}
				r.agrees(t, fixture, size)
			})
		}
		if err := fixture.Close(); err != nil {
			t.Error(err)
		}
	}
}

// agrees holds the network for a size of pictures against the outputs in the file.
func (r reference) agrees(t *testing.T, fixture *safetensors.File, size string) {
	var height, width int
	if _, err := fmt.Sscanf(size, "%dx%d", &height, &width); err != nil {
		t.Fatal(err)
	}
	gain, err := strconv.ParseFloat(fixture.Metadata()["gain"], 64)
	if err != nil {
		t.Fatal(err)
	}
	b, names := r.built(t)
	if got, want := tensorsOf(t, b, names), fixture.Metadata()["tensors"]; got != want {
		t.Errorf("names and shapes of the tensors have digest %s, want %s", got, want)
	}
	net, err := b.Network(height, width)
	if err != nil {
		t.Fatal(err)
	}
	layers := []string{b.LastMap, b.Pooled}
	if net.Shape(b.Logits) != nil {
		layers = append(layers, b.Logits)
	}
	if net, err = net.Cut(layers...); err != nil {
		t.Fatal(err)
	}
	w := filled(t, b, net, names, gain)
	want := map[string][]float32{}
	for _, x := range fixture.Tensors() {
		if what, ok := strings.CutPrefix(x.Name, size+"/"); ok {
			if _, want[what], err = fixture.Float32(x.Name); err != nil {
				t.Fatal(err)
			}
		}
	}

	const plain = kernel.Plain // without Winograd's method
	for _, c := range []struct {
		n         int // pictures at once
		algorithm kernel.Algorithm
		layers    []string // of features alone, a program fuses more
		heavy     bool
	}{
		{2, kernel.Automatic, layers, false},
		{1, plain, layers[1:2], false},
		{1, kernel.Automatic, layers, true},
		{2, plain, layers, true},
	} {
		if c.heavy && !heavy() {
			continue
		}
		t.Run(fmt.Sprintf("batch=%d/algorithm=%d/outputs=%d", c.n, c.algorithm, len(c.layers)), func(t *testing.T) {
			program, err := frozen.Options{Algorithm: c.algorithm}.Compile(net, w, c.layers...)
			if err != nil {
				t.Fatal(err)
			}
			out := make([][]float32, len(c.layers))
			for i := range out {
				out[i] = make([]float32, c.n*program.OutputShape(i).Size())
			}
			pool := kernel.NewPool(2)
			defer pool.Close()
			if err := program.NewSession(c.n).Run(pool, picture(c.n, height, width), c.n, out...); err != nil {
				t.Fatal(err)
			}
			if len(c.layers) == 1 {
				agree(t, "pooled", first(out[0], c.n, len(want["pooled"])/2), want["pooled"])
				return
			}
			agree(t, "last", corner(out[0], c.n, program.OutputShape(0)), want["last"])
			agree(t, "pooled", first(out[1], c.n, len(want["pooled"])/2), want["pooled"])
			if len(layers) == 3 {
				agree(t, "logits", first(out[2], c.n, len(want["logits"])/2), want["logits"])
			}
			var got, moments []float32
			for i := range c.n {
				for j := range layers {
					got = append(got, meanAndDeviation(out[j][i*len(out[j])/c.n:][:len(out[j])/c.n])...)
				}
				moments = append(moments, want["moments"][i*len(want["moments"])/2:][:2*len(layers)]...)
			}
			agree(t, "moments", got, moments)
		})
	}
}

// built returns the backbone in the reference's variant, and the names of its tensors.
func (r reference) built(t *testing.T) (Backbone, naming) {
	t.Helper()
	b, err := Find(r.backbone)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = b.As(r.variant); err != nil {
		t.Fatal(err)
	}
	namings := b.variants[b.chosen].namings
	at := slices.IndexFunc(namings, func(n naming) bool { return n.title == r.naming })
	if at < 0 {
		t.Fatalf("%s, variant %s, has no names of %s", r.backbone, r.variant, r.naming)
	}
	return b, namings[at]
}

// first returns the first size numbers of each of n pictures' outputs.
func first(out []float32, n, size int) []float32 {
	var got []float32
	for i := range n {
		got = append(got, out[i*len(out)/n:][:size]...)
	}
	return got
}

// corner returns the first 32 channels of the lower right corner, 2×2, of each of n maps.
func corner(out []float32, n int, shape nn.Shape) []float32 {
	var got []float32
	for i := range n {
		for _, y := range []int{shape[0] - 2, shape[0] - 1} {
			for _, x := range []int{shape[1] - 2, shape[1] - 1} {
				got = append(got, out[((i*shape[0]+y)*shape[1]+x)*shape[2]:][:32]...)
			}
		}
	}
	return got
}

// Every kernel path gives the same to within the same tolerance.
func TestKernelPathsAgreeWithReferences(t *testing.T) {
	if !heavy() {
		t.Skip("needs TLPIPE_HEAVY=1")
	}
	for _, path := range []string{"avx2", "portable"} {
		t.Run(path, func(t *testing.T) {
			run := exec.Command(os.Args[0], "-test.run=^TestNetworksAgreeWith")
			run.Env = append(os.Environ(), kernel.EnvironmentVariable+"="+path, "TLPIPE_HEAVY=")
			if out, err := run.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// Files tell the variant by their tensors' names, with the classifier or without, or are refused where
// they could be of two.
func TestVariantsAreRecognised(t *testing.T) {
	for _, entry := range All() {
		for _, name := range entry.Variants() {
			b, err := entry.As(name)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := b.whole()
			if err != nil {
				t.Fatal(err)
			}
			trunk, err := whole.Cut(b.Pooled)
			if err != nil {
				t.Fatal(err)
			}
			for _, names := range b.variants[b.chosen].namings {
				for _, net := range []*nn.Network{whole, trunk} {
					var inFile []stored.Tensor
					for _, x := range tensorList(net, names) {
						inFile = append(inFile, stored.Tensor{Name: x.Name, Shape: x.Shape})
					}
					got, err := entry.variantOf(inFile)
					if names.title == "timm" && strings.HasPrefix(b.Name, "efficientnet") { // and tf_efficientnet
						if err == nil || !strings.Contains(err.Error(), "say which variant") || !strings.Contains(err.Error(), name) {
							t.Errorf("%s, names of timm: error %v, want one that asks for the variant", b.Name, err)
						}
						continue
					}
					if err != nil || got.chosen != b.chosen {
						t.Errorf("%s, names of %s: %d, %v, want variant %s", b.Name, names.title, got.chosen, err, name)
					}
				}
			}
		}
	}
}

// A file of another architecture is told, with the classifier or without, even if all names are there.
func TestFilesOfAnotherArchitectureAreTold(t *testing.T) {
	for _, c := range []struct{ given, to, layer string }{
		{"resnet18", "resnet50", "logits"},
		{"resnet101", "resnet50", "pooled"},
		{"resnet34", "resnet18", "pooled"},
		{"vgg16", "vgg19", "pooled"},
		{"vgg19", "vgg16", "logits"},
		{"mobilenet_v2", "inception_v3", "logits"},
	} {
		given, err := Find(c.given)
		if err != nil {
			t.Fatal(err)
		}
		net, err := given.whole()
		if err != nil {
			t.Fatal(err)
		}
		if net, err = net.Cut(c.layer); err != nil {
			t.Fatal(err)
		}
		var file []stored.Tensor
		for _, x := range tensorList(net, given.variants[0].namings[0]) {
			file = append(file, stored.Tensor{Name: x.Name, Shape: x.Shape})
		}
		b, err := Find(c.to)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("it is no %s: the names of its tensors are those of %s", c.to, c.given)
		if _, err := b.variantOf(file); err == nil || err.Error() != want {
			t.Errorf("%s for %s: error %v, want %q", c.given, c.to, err, want)
		}
		whole, err := b.whole()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.namingOf(file, whole); err == nil || err.Error() != want {
			t.Errorf("%s for %s: error %v, want %q", c.given, c.to, err, want)
		}
	}
}

// tensorsOf digests the names and shapes of a backbone's tensors as the scripts do.
func tensorsOf(t *testing.T, b Backbone, names naming) string {
	t.Helper()
	net, err := b.Network(b.Preprocessing().Height, b.Preprocessing().Width)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, x := range tensorList(net, names) {
		lines = append(lines, fmt.Sprintf("%s %s\n", x.Name, strings.ReplaceAll(fmt.Sprint(x.Shape), " ", ", ")))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:])
}

// tensorList lists the tensors, without their data, of a file of the network's weights.
func tensorList(net *nn.Network, names naming) []safetensors.Tensor {
	var list []safetensors.Tensor
	for _, l := range net.Layers() {
		for _, p := range net.LayerParameters(l) {
			shape := slices.Clone(names.layout(net, l, p).shape)
			if slices.ContainsFunc(list, func(x safetensors.Tensor) bool { return x.Name == names.tensor(p) }) {
				continue // of queries, keys and values
			}
			if l.Name == names.bare && p.Role == nn.Bias {
				continue
			}
			switch l.Op.(type) {
			case nn.Prepend, nn.Positions:
				tower := names.title == "OpenAI" || strings.HasPrefix(names.tensor(p), "vision_model.")
				switch {
				case tower && l.Name == "stem.class":
					shape = shape[1:]
				case !tower || l.Name == "pool.latent":
					shape = append(nn.Shape{1}, shape...)
				}
			}
			_, dense := l.Op.(nn.Dense)
			convolved := strings.Contains(l.Name, "squeeze") || l.Name == "fc2" && names.title == "timm" // as 1×1
			switch {
			case dense && len(shape) == 2 && convolved && names.order == kerasOrder:
				shape = nn.Shape{1, 1, shape[0], shape[1]}
			case dense && len(shape) == 2 && convolved:
				shape = append(shape, 1, 1)
			case dense && len(shape) > 2 && names.title == "torchvision": // of a flattened map; a matrix there
				shape = nn.Shape{shape[0], shape.Size() / shape[0]}
			}
			list = append(list, safetensors.Tensor{Name: names.tensor(p), Shape: shape})
		}
	}
	return list
}

// filled loads a file with tensors of the formula.
func filled(t *testing.T, b Backbone, net *nn.Network, names naming, gain float64) nn.Weights {
	t.Helper()
	list := tensorList(net, names)
	for i := range list {
		fill(&list[i], names.order, gain)
	}
	var content bytes.Buffer
	if err := safetensors.Write(&content, list, nil); err != nil {
		t.Fatal(err)
	}
	file, err := safetensors.Parse(content.Bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := b.load(file.Tensors(), net)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// fill is the formula of testdata/make_torchvision.py and make_keras.py.
func fill(x *safetensors.Tensor, order order, gain float64) {
	h := fnv.New64a()
	h.Write([]byte(x.Name))
	state := h.Sum64()
	value := func(u float64) float64 { return u / 5 }
	switch last := x.Name[strings.LastIndexAny(x.Name, "./")+1:]; {
	case last == "running_mean" || last == "moving_mean" || last == "bias" || last == "beta":
	case last == "running_var" || last == "moving_variance":
		value = func(u float64) float64 { return 1 + 3*u/10 }
	case len(x.Shape) == 1:
		value = func(u float64) float64 { return 1 + u/5 }
	default:
		outputs := x.Shape[0]
		if order == kerasOrder {
			outputs = x.Shape[len(x.Shape)-1]
			if outputs == 1 { // depthwise
				outputs = x.Shape[len(x.Shape)-2]
			}
		}
		scale := gain * math.Sqrt(6/float64(nn.Shape(x.Shape).Size()/outputs))
		value = func(u float64) float64 { return scale * u }
	}
	x.Data = make([]float32, nn.Shape(x.Shape).Size())
	for i := range x.Data {
		state += 0x9E3779B97F4A7C15
		z := state
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		x.Data[i] = float32(value(float64(z>>40)/(1<<23) - 1))
	}
}

// picture is the input of the scripts.
func picture(n, h, w int) []float32 {
	x := make([]float32, 0, n*h*w*3)
	for i := range n {
		for y := range h {
			for column := range w {
				for c := range 3 {
					v := (3*column + 5*y + 40*c + column*y*(i+1)/32) % 512
					x = append(x, float32(min(v, 511-v)-127)/128)
				}
			}
		}
	}
	return x
}

func meanAndDeviation(x []float32) []float32 {
	var sum, squares float64
	for _, v := range x {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	mean := sum / float64(len(x))
	return []float32{float32(mean), float32(math.Sqrt(squares/float64(len(x)) - mean*mean))}
}

// agree checks that got is within 1e-4 of the largest absolute value of want, of whose pictures got may
// have the first only.
func agree(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) && 2*len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	want = want[:len(got)]
	var largest, off float64
	for i, v := range want {
		largest = max(largest, math.Abs(float64(v)))
		off = max(off, math.Abs(float64(got[i]-v)))
	}
	if !(off <= 1e-4*largest) {
		t.Errorf("%s: off by %.3g, the largest value is %.3g", what, off, largest)
	}
	t.Logf("%s: off by %.2g of the largest value", what, off/largest)
}
