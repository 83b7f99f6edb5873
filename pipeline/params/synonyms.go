package params

import "strings"

// synonyms are names that other programs of the field have for parameters, each with the names that they may have here, the
// likelier first. A name with a dot is a key of a mapping.
var synonyms = map[string][]string{
	"lr": {"learning_rate"}, "base_lr": {"learning_rate"}, "init_lr": {"learning_rate"}, "initial_lr": {"learning_rate"}, "eta": {"learning_rate"}, "learningrate": {"learning_rate"},
	"bs": {"batch_size", "batch"}, "batch": {"batch_size"}, "batch_size": {"batch"}, "batchsize": {"batch_size", "batch"}, "minibatch": {"batch_size", "batch"},
	"num_epochs": {"epochs"}, "n_epochs": {"epochs"}, "max_epochs": {"epochs"}, "nb_epoch": {"epochs"}, "epoch": {"epochs"}, "iterations": {"epochs"},
	"freeze": {"strategy"}, "freeze_layers": {"strategy"}, "frozen": {"strategy"}, "trainable": {"strategy"}, "unfreeze": {"strategy.unfreeze"}, "fine_tune_at": {"strategy.top"}, "layers": {"strategy.top"},
	"optim": {"optimiser"}, "opt": {"optimiser"}, "solver": {"optimiser"}, "optimizer": {"optimiser"},
	"dropout": {"head.dropout"}, "dropout_rate": {"head.dropout"}, "drop_rate": {"head.dropout"}, "hidden": {"head.hidden"}, "hidden_size": {"head.hidden"}, "hidden_units": {"head.hidden"}, "classifier": {"head"},
	"patience": {"early_stopping.patience"}, "min_delta": {"early_stopping.min_delta"}, "monitor": {"early_stopping.monitor"}, "earlystopping": {"early_stopping"},
	"wd": {"weight_decay"}, "decay": {"weight_decay"}, "l2_regularization": {"l2"}, "regularization": {"l2", "weight_decay"},
	"scheduler": {"schedule"}, "lr_scheduler": {"schedule"}, "lr_schedule": {"schedule"}, "warmup": {"warm_up"}, "warmup_epochs": {"warm_up"}, "warmup_steps": {"warm_up"},
	"grad_clip": {"clip_norm"}, "clip_grad": {"clip_norm"}, "gradient_clip_val": {"clip_norm"}, "max_grad_norm": {"clip_norm"}, "gradient_accumulation_steps": {"accumulate"}, "accumulate_grad_batches": {"accumulate"},
	"class_weight": {"class_weights"}, "smoothing": {"label_smoothing"}, "ema": {"average"}, "swa": {"average"}, "amp": {"precision"}, "fp16": {"precision"}, "bf16": {"precision"}, "half": {"precision"}, "dtype": {"precision", "store"},
	"model": {"backbone"}, "model_name": {"backbone"}, "arch": {"backbone"}, "architecture": {"backbone"}, "base_model": {"backbone"}, "network": {"backbone"}, "encoder": {"backbone"},
	"pretrained": {"weights"}, "checkpoint": {"weights"}, "pretrained_weights": {"weights"}, "weights_path": {"weights"}, "random_state": {"random_seed", "seed", "split.salt"}, "seed": {"random_seed", "split.salt"},
	"image_size": {"size"}, "img_size": {"size"}, "imgsz": {"size"}, "input_size": {"size"}, "input_shape": {"size"}, "target_size": {"size"}, "resolution": {"size"}, "height": {"size"}, "width": {"size"}, "crop_size": {"size"}, "resize_size": {"resize_to"},
	"interpolation": {"filter"}, "resample": {"filter"}, "normalize": {"normalise"}, "normalization": {"normalise"}, "normalisation": {"normalise"}, "mean": {"normalise.mean"}, "std": {"normalise.std"}, "rescale": {"normalise"}, "standardize": {"standardise", "normalise"},
	"filename": {"path", "columns.path"}, "file_name": {"path", "columns.path"}, "filepath": {"path", "columns.path"}, "file": {"path", "csv", "columns.path"}, "image_path": {"path", "columns.path"}, "image": {"path"},
	"class": {"label", "columns.label"}, "class_name": {"label", "columns.label"}, "target": {"label", "columns.label"}, "y": {"label", "columns.label"}, "category": {"label", "columns.label"},
	"dir": {"folder", "source"}, "directory": {"folder", "source"}, "data": {"folder", "source", "from"}, "data_dir": {"folder", "source"}, "dataset": {"builtin", "source"}, "imagefolder": {"folder"}, "image_folder": {"folder"}, "folder": {"source.folder"}, "csv": {"source.csv"}, "parquet": {"source.parquet"}, "tar": {"source.tar"}, "webdataset": {"tar"}, "sep": {"separator"}, "delimiter": {"separator"},
	"validation": {"val"}, "valid": {"val"}, "val_split": {"split.val"}, "validation_split": {"split.val"}, "test_split": {"split.test"}, "test_size": {"split.test"}, "train_size": {"split.train"}, "stratify": {"split.exact", "exact"}, "group": {"by"}, "groups": {"by"}, "group_by": {"by"}, "stratified": {"exact"},
	"horizontal_flip": {"flip"}, "vertical_flip": {"flip"}, "hflip": {"flip"}, "vflip": {"flip"}, "random_flip": {"flip"}, "rotation": {"rotate"}, "rotation_range": {"rotate"}, "degrees": {"rotate"}, "zoom_range": {"zoom"}, "width_shift_range": {"translate"}, "height_shift_range": {"translate"}, "shift": {"translate"}, "random_crop": {"crop"}, "random_resized_crop": {"crop"}, "color_jitter": {"brightness"}, "grayscale": {"grey"}, "gray": {"grey"}, "greyscale": {"grey"}, "random_erasing": {"erase"}, "cutout": {"erase"}, "randaugment": {"rand_augment"}, "num_copies": {"copies"}, "n": {"copies"},
	"quantize": {"precision"}, "quantization": {"precision"}, "int8": {"precision"}, "pooling": {"layer"}, "layer_name": {"layer"}, "tta": {"flip"},
	"topk": {"top_k"}, "k": {"top_k"}, "n_bootstrap": {"bootstrap"}, "n_resamples": {"bootstrap"}, "resamples": {"bootstrap"}, "bins": {"calibration_bins"}, "n_bins": {"calibration_bins"}, "baseline": {"baselines"}, "by": {"slices", "cluster", "split.by"}, "subset": {"split"},
	"type": {"uses", "kind"}, "kind": {"uses"}, "stage": {"uses"}, "params": {"with"}, "parameters": {"with"}, "args": {"with"}, "config": {"with"}, "input": {"from"}, "inputs": {"from"}, "needs": {"from"}, "depends_on": {"from"}, "variables": {"vars"}, "steps": {"stages"}, "pipeline": {"stages"}, "jobs": {"stages"}, "title": {"name"}, "grid": {"matrix"}, "sweep": {"matrix"}, "foreach": {"matrix"},
}

// HintForKey says which key was meant by one that is not known; all known ones if none is near.
func HintForKey(key string, known []string) string {
	word := strings.ReplaceAll(strings.ToLower(key), "-", "_")
	for _, name := range synonyms[word] {
		head, inner, nested := strings.Cut(name, ".")
		for _, k := range known {
			switch {
			case k == name:
				return "did you mean " + quote(name) + "?"
			case nested && k == head:
				return "did you mean " + head + ": {" + inner + ": …}?"
			}
		}
	}
	return DidYouMean(key, known)
}
