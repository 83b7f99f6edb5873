package record

// DescribeFirstForm describes a model of form 1, which has its classes beside its metadata, where
// HeadKey, PreprocessingKey and ExtractionKey may stand. These are taken out of the metadata; input is
// that of the model's network. What form 1 does not tell (licence, recipe, selection) is not known.
func DescribeFirstForm(metadata map[string]string, classes []string, input ModelInput) (Description, error) {
	d := Description{Version: ModelVersion}
	head := SingleLabelHead(Label, classes)
	if text, ok := metadata[HeadKey]; ok {
		var err error
		if head, err = ParseHead(text); err != nil {
			return d, err
		}
	}
	var err error
	if input.Transforms, err = TransformsOf(metadata); err != nil {
		return d, err
	}
	input.Column = Image
	if made, ok := input.Transforms.Extraction(); ok {
		input.Column = Feature
		if made.Weights != "" {
			d.Origins = []Origin{made.Origin()}
		}
	} else if len(input.Transforms) == 0 {
		input.Column = ""
	}
	for _, key := range []string{HeadKey, PreprocessingKey, ExtractionKey} {
		delete(metadata, key)
	}
	d.Inputs, d.Heads = []ModelInput{input}, []Head{head}
	return d, d.Check()
}

// Origin is where the weights of an extraction come from, as far as it tells.
func (e Extraction) Origin() Origin {
	return Origin{Backbone: e.Backbone, Variant: e.Variant, Weights: e.Weights, Digest: e.Digest}
}
