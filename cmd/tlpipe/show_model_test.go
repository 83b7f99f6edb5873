package main

import (
	"testing"

	"github.com/tlpipe/tlpipe/internal/record"
)

func TestSelectionInWords(t *testing.T) {
	loss := map[string]float64{"loss": 0.5}
	for want, s := range map[string]record.Selection{
		"epoch 3 (phase top), with the best validation accuracy: accuracy 0.75, loss 0.5 on 1 row of split val; learned from 20 rows": {By: record.ChosenByAccuracy, Phase: "top", Epoch: 3, Split: record.Validation, Rows: 1, Trained: 20, Metrics: map[string]float64{"loss": 0.5, "accuracy": 0.75}},
		"epoch 3, the last: loss 0.5 on 20 rows of split train; learned from 20 rows":                                                 {By: record.ChosenLast, Epoch: 3, Split: record.Train, Rows: 20, Trained: 20, Metrics: loss},
		"what the training began with, which no epoch improved, with the best validation loss; learned from 20 rows":                  {By: record.ChosenByLoss, Phase: "head", Trained: 20},
		"penalty 0.1 of 9 tried, by cross-validation: loss 0.5 on folds of the training rows; learned from 20 rows":                   {By: record.ChosenByCross, Phase: "penalty 0.1", Epoch: 2, Tried: 9, Split: record.Train, Rows: 20, Trained: 20, Metrics: loss},
		"fit; learned from 20 rows":                {By: record.ChosenOnly, Phase: "fit", Epoch: 1, Tried: 1, Trained: 20},
		"epoch 1, by a vote; learned from 20 rows": {By: "a vote", Epoch: 1, Trained: 20},
	} {
		if got := selectionInWords(s); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestOriginAndHeadInWords(t *testing.T) {
	for want, o := range map[string]record.Origin{
		"resnet18, random weights": {Backbone: "resnet18", Weights: "random"},
		"resnet50 (keras), file, licence not known, SHA-256 0123456789a…":  {Backbone: "resnet50", Variant: "keras", Weights: "file", Digest: "0123456789abcdef"},
		"vgg16, imagenet, licence MIT, SHA-256 abc, https://example.org/x": {Backbone: "vgg16", Weights: "imagenet", Digest: "abc", Licence: "MIT", Address: "https://example.org/x"},
	} {
		if got := originInWords(o); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for want, h := range map[string]record.Head{
		"one of 2 classes: a, b":                                   record.SingleLabelHead("x", []string{"a", "b"}),
		"any of 13 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, a, b, …": record.MultiLabelHead("x", []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c"}),
		"1 number: width":                                          record.RegressionHead("x", []string{"width"}),
	} {
		if got := headInWords(h); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
