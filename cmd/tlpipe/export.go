package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/exchange"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
)

type exportFlags struct {
	file      pipelineFlags
	cached    cacheFlag
	task      string
	out       string
	format    string
	precision string
	weights   string
	size      int
	pictures  int
	examples  string
	signed    bool
}

func (p *program) exportCommand() *cobra.Command {
	var f exportFlags
	c := &cobra.Command{
		Use:   "export FILE:STAGE | model.safetensors | BACKBONE",
		Short: "Write a trained model for other programs: ONNX, TensorFlow Lite, Keras, PyTorch",
		Long: `Write a trained model as a file that other programs run, the whole way from pixels to
probabilities: the file takes the pixels of images, uint8 [n, height, width, 3] in
RGB, of the model's size, normalises them, and gives a probability for each class.
Decoding and resizing are left to the program that uses it: "tlpipe show" lists what
training did. The class names stand in the file's metadata. Adapters are merged,
batch-norms are folded, and a model of a frozen backbone's features has that backbone
in its file.

Formats:
  onnx         ONNX, operators of version 17; any number of images at once, or of texts:
               the ids of their tokens, and a mask that tells padding
  tflite       TensorFlow Lite (LiteRT), one image at a time
  keras        a model that keras.models.load_model reads (Keras 3), with the layers
               that were trained; images, no Vision Transformers
  torch        the weights alone, as a state dict that torch.load reads; a backbone's
               have the names that torchvision or timm give them, others their own
  safetensors  the same state dict as a safetensors file ("tlpipe show --export" writes
               one that tlpipe itself runs)

The precision is that of the weights. int8 is for models of a quantise stage; float16
weights are computed with in float32.

After it was written, the file is read back and computed by the definitions of the
format's operators, on images that are part of this program. A float32 file that
differs from the model by more than 1e-4, or a file that is larger than its precision
allows, is an error.

A backbone of the zoo can be named in place of a model: it is written with its own
classifier.`,
		Example: `  tlpipe export pipeline.yaml:net --out net.onnx
  tlpipe export pipeline.yaml:small --precision int8 --out small.tflite
  tlpipe export efficientnet_lite0 --out lite0.onnx
  tlpipe export reviews.yaml:head --weights models/all-MiniLM-L6-v2 --out reviews.onnx`,
		Args: one("FILE:STAGE"),
		RunE: func(c *cobra.Command, args []string) error { return p.export(c.Context(), f, args[0]) },
	}
	f.file.add(c)
	f.cached.add(c)
	c.Flags().StringVar(&f.out, "out", "", "the `file` to write")
	c.Flags().StringVar(&f.task, "task", "", "of a model with several tasks: the `name` of the one to write")
	c.Flags().StringVar(&f.format, "format", "", "the `format`: "+strings.Join(exchange.Formats(), ", ")+" (default: what the file's name ends in)")
	c.Flags().StringVar(&f.precision, "precision", "", "`type` of the weights: float32, float16 or int8 (default: that of the model of a quantise stage, int8 or float16, where the format has it, else float32)")
	c.Flags().BoolVar(&f.signed, "signed", false, "of int8 in ONNX: int8 weights, which ONNX Runtime multiplies faster on x86 processors with VNNI, but not exactly without; the default is uint8, around 128, exact on every processor")
	c.Flags().StringVar(&f.weights, "weights", "", "the `file` of the backbone's weights, if they came from a file; of a backbone, what pipelines say in weights")
	c.Flags().IntVar(&f.size, "size", 0, "of a backbone: height and width of the images in `pixels` (default: those of its weights)")
	c.Flags().StringVar(&f.examples, "examples", "", "a `folder` for the pixels of these images and what tlpipe computes of them, images.npy and outputs.npy")
	c.Flags().IntVar(&f.pictures, "check", 8, "`how many` images to check the file on; 0: it is not checked")
	return c
}

func (p *program) export(ctx context.Context, f exportFlags, reference string) error {
	switch {
	case f.out == "":
		return usage("--out is missing: the file to write")
	case f.pictures < 0:
		return usage("--check %d: expected 0 or more images", f.pictures)
	case f.size < 0:
		return usage("--size %d: expected 0 or more pixels", f.size)
	}
	r := exchange.Request{
		Format: exchange.Format(f.format), Precision: exchange.Precision(f.precision), Out: f.out, Pictures: f.pictures, Examples: f.examples,
		Threads: runtime.GOMAXPROCS(0), Version: version(), Signed: f.signed,
	}
	early := r
	if early.Precision == "" {
		early.Precision = exchange.Float32
	}
	if err := early.Check(); err != nil {
		return err
	}
	var err error
	if r.Model, err = p.deployed(ctx, f, reference); err != nil {
		return err
	}
	r.Scheme = r.Model.Scheme
	if r.Precision == "" {
		r.Precision = ownPrecision(r)
	}
	if f.signed && r.Precision != exchange.Int8 {
		return usage("--signed is for int8, and the file is %s", r.Precision)
	}
	if r.Precision == exchange.Int8 && r.Scheme == nil {
		rests := "float32"
		if q := r.Model.Description.Quantisation; q != nil {
			rests = string(q.Weights)
		}
		return fmt.Errorf("the model is %s: a quantise stage of type int8 makes it int8 (tlpipe stages quantise)", rests)
	}
	result, err := exchange.Write(r)
	if err != nil {
		return err
	}
	for _, note := range r.Model.Notes {
		fmt.Fprintln(p.err, "note:", console.Line(note))
	}
	if q := r.Model.Description.Quantisation; q != nil && r.Precision == exchange.Float32 && f.precision == "" {
		fmt.Fprintf(p.err, "note: the model's weights rest as %s; the file has them as float32\n", q.Weights)
	}
	if r.Model.Description.Quantisation != nil && (result.Format == exchange.Torch || result.Format == exchange.Safetensors) {
		fmt.Fprintln(p.err, "note: a quantise stage folds batch-norms into the convolutions: where the architecture has any, load_state_dict wants those of the model that the stage was given")
	}
	if c := result.Check; c != nil && r.Precision == exchange.Int8 && 100*c.Same < 99*c.Examples {
		fmt.Fprintf(p.err, "warning: %d of %d %ss get another class than in tlpipe, where programs round in other places: compare the accuracy of the file on your own test rows before you use it\n", c.Examples-c.Same, c.Examples, c.Kind)
	}
	text := fmt.Sprintf("%s written: %s, %s, %s", f.out, result.Format, r.Precision, console.Bytes(result.Bytes))
	if c := result.Check; c != nil {
		text += "; read back and " + checkInWords(*c, r.Model.Head)
	}
	_, err = fmt.Fprintln(p.err, console.Line(text))
	return err
}

// ownPrecision is that which the weights of a model rest in, if the format has it; float32 otherwise.
func ownPrecision(r exchange.Request) exchange.Precision {
	if r.Scheme != nil {
		if r.Precision = exchange.Int8; r.Check() == nil {
			return exchange.Int8
		}
	}
	if q := r.Model.Description.Quantisation; q != nil && q.Weights == record.Float16Tensor {
		if r.Precision = exchange.Float16; r.Check() == nil {
			return exchange.Float16
		}
	}
	return exchange.Float32
}

func checkInWords(c exchange.Check, head record.Head) string {
	text := fmt.Sprintf("compared on %s: largest difference %.2g", console.Of(int64(c.Examples), c.Kind), c.Largest)
	if head.Task != record.Regression {
		text += fmt.Sprintf(", same class %d of %d", c.Same, c.Examples)
	}
	return text
}

// deployed finds the model that a reference names, and makes it one for other programs.
func (p *program) deployed(ctx context.Context, f exportFlags, reference string) (*deploy.Model, error) {
	_, _, divided := splitReference(reference)
	info, err := os.Stat(reference)
	if isFile := err == nil && !info.IsDir() || err != nil && !errors.Is(err, fs.ErrNotExist); !isFile && !strings.HasSuffix(reference, ".safetensors") {
		b, err := backbone.Find(reference)
		if err == nil {
			return p.deployedBackbone(ctx, f, b)
		}
		if !divided {
			return nil, usage("%s is neither FILE:STAGE, nor a safetensors file, nor a backbone: %w", reference, err)
		}
	}
	if f.size != 0 {
		return nil, usage("--size is for backbones: a model has the size that it was trained for")
	}
	stored, err := p.storedModel(ctx, f, reference)
	if err != nil {
		return nil, err
	}
	if f.weights != "" && !deploy.NeedsWeights(stored) {
		return nil, usage("--weights %s: the model holds all of its weights", f.weights)
	}
	return deploy.Stored(stored, f.weights)
}

func (p *program) deployedBackbone(ctx context.Context, f exportFlags, b backbone.Backbone) (*deploy.Model, error) {
	if b.AnyPixels {
		return nil, usage("%s is no network", b.Name)
	}
	word := f.weights
	if word == "" {
		word = backbone.DefaultWeights
	}
	choice, err := b.Resolve(backbone.WeightsReference(word))
	if err != nil {
		return nil, usage("%w", err)
	}
	if err := choice.Fetch(ctx, func(format string, args ...any) { fmt.Fprintf(p.err, format+"\n", args...) }); err != nil {
		return nil, err
	}
	return deploy.Backbone(b, choice, f.size)
}

func (p *program) storedModel(ctx context.Context, f exportFlags, reference string) (*classifier.Classifier, error) {
	return p.readModel(ctx, modelFlags{file: f.file, cached: f.cached, model: reference, task: f.task})
}
