# How sharp each picture is: the variance of the differences between neighbouring pixels. Pictures of one colour are rejected.
import json, os, sys
import pyarrow as pa
import pyarrow.compute as pc

parameters = json.loads(os.environ["TLPIPE_PARAMETERS"])
weight = float(parameters.get("weight", 1))
source, sink = sys.stdin.buffer, sys.stdout.buffer
sys.stdout = sys.stderr  # so that print disturbs no answer


def sharpness(pixels):
    differences = [(a - b) * weight for a, b in zip(pixels[3:], pixels)]
    return sum(d * d for d in differences) / max(len(differences), 1)


while True:
    try:
        question = pa.ipc.open_stream(source)
    except pa.ArrowInvalid:  # no more questions
        break
    table = question.read_all()
    values = [sharpness(row) for row in table.column("image").to_pylist()]
    reasons = [None if v > 0 else "it is of one colour" for v in values]
    answer = pa.table({
        "sharpness": pa.array(values, pa.float32()),
        "tlpipe.reject": pa.array(reasons, pa.string()),
    })
    with pa.ipc.new_stream(sink, answer.schema) as stream:
        stream.write_table(answer)
    sink.flush()
