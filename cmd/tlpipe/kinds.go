package main

import (
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/stages/adapt"
	"github.com/tlpipe/tlpipe/stages/adapt/choose"
	"github.com/tlpipe/tlpipe/stages/augment"
	"github.com/tlpipe/tlpipe/stages/distill"
	"github.com/tlpipe/tlpipe/stages/distill/quantise"
	"github.com/tlpipe/tlpipe/stages/evaluate"
	"github.com/tlpipe/tlpipe/stages/evaluate/episodes"
	"github.com/tlpipe/tlpipe/stages/evaluate/limits"
	"github.com/tlpipe/tlpipe/stages/evaluate/predict"
	"github.com/tlpipe/tlpipe/stages/evaluate/retrieval"
	"github.com/tlpipe/tlpipe/stages/extract"
	"github.com/tlpipe/tlpipe/stages/extract/vectorise"
	"github.com/tlpipe/tlpipe/stages/finetune"
	"github.com/tlpipe/tlpipe/stages/finetune/contrastive"
	"github.com/tlpipe/tlpipe/stages/finetune/zeroshot"
	"github.com/tlpipe/tlpipe/stages/preprocess"
	"github.com/tlpipe/tlpipe/stages/preprocess/exec"
)

// kinds lists every kind of stage that a pipeline can use, in the order in
// which pipelines use them.
func kinds() []pipeline.Kind {
	return []pipeline.Kind{
		preprocess.Kind(),
		preprocess.Vectors(),
		preprocess.Text(),
		preprocess.Audio(),
		exec.Kind(),
		augment.Kind(),
		augment.Text(),
		extract.Kind(),
		vectorise.Kind(),
		extract.Encode(),
		finetune.Kind(),
		contrastive.Kind(),
		zeroshot.Kind(),
		zeroshot.Interpolate(),
		extract.Embed(),
		adapt.Kind(),
		choose.Kind(),
		quantise.Kind(),
		distill.Kind(),
		distill.PruneKind(),
		evaluate.Kind(),
		predict.Kind(),
		episodes.Kind(),
		retrieval.Kind(),
		limits.Kind(),
	}
}
