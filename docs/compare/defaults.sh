#!/bin/bash
# What tlpipe's strategies reach with nothing given but their names, on the sets of docs/compare/sets. defaults.py has
# PyTorch's usual recipes, and logistic regression on the frozen features, on the same pictures and splits.
#
#     docs/compare/defaults.sh TLPIPE FOLDER SET [--set vars.size=224 …]
#
# SET is emoji, digits, fashion_mnist or stamps. SEEDS ("1 2 3") and STRATEGIES may be given in the environment; digits are not mirrored.
# Results: FOLDER/NAME.csv has the metrics, FOLDER/NAME-predictions.csv what each test row was taken for (NAME from the
# environment; SET if not given).
# One training at a time; what is at hand in FOLDER/cache is not computed again.
set -e
tlpipe=$1 folder=$2 set=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
seeds=$(echo ${SEEDS:-1 2 3} | tr ' ' ,)
strategies=$(echo ${STRATEGIES:-feature_extraction partial full progressive fine_tune layerwise adapters linear_then_full} | tr ' ' ,)
name=${NAME:-$set}
mkdir -p "$folder"
pipeline=$folder/$name.yaml
cp "$here/sets/$set.yaml" "$pipeline"
data=images copies=0
if [ "$set" != digits ]; then
  echo '  varied: {uses: augment, from: images, with: {copies: 1, flip: horizontal}}' >> "$pipeline"
  data=varied copies=2
fi
cat >> "$pipeline" <<END
  net:
    uses: finetune
    from: $data
    matrix: {seed: [$seeds], strategy: [$strategies]}
    seed: \$(seed)
    with: {backbone: efficientnet_lite0, strategy: \$(strategy), copies: $copies}
  scores: {uses: evaluate, from: {model: net, data: images}}
END
"$tlpipe" run "$pipeline" --cache "$folder/cache" --jobs 1 "$@"
"$tlpipe" show "$pipeline:scores.metrics" "$@" --cache "$folder/cache" --export "$folder/$name.csv"
"$tlpipe" show "$pipeline:scores.predictions" "$@" --cache "$folder/cache" --export "$folder/$name-predictions.csv"
