package pipeline

import (
	"context"
	"errors"
	"fmt"
)

// Prepare computes what a whole-table node takes, unless it is in the cache, and returns a task of the
// node to look at it with: it has the node's inputs, seed and threads, but nothing can be written, and
// there are no parts and no checkpoint. The runner's Selection is not heeded. Call done when the inputs
// are no longer needed.
func (r *Runner) Prepare(ctx context.Context, g *Graph, n *Node) (task *Task, done func() error, err error) {
	upstream := *r
	upstream.Selection = Selection{}
	for _, e := range n.Inputs {
		upstream.Selection.Until = append(upstream.Selection.Until, e.From.Name)
	}
	result, err := upstream.Run(ctx, g)
	if err != nil {
		return nil, nil, err
	}
	result.Journal.Write(RunEnded{Event: "run", Status: result.Status, Run: result.Run})
	if err := errors.Join(result.Err, result.Journal.Close()); err != nil {
		return nil, nil, errors.Join(err, result.Close())
	}
	x := &execution{Runner: r, graph: g, index: r.Store.StatIndex()}
	nr := newNodeRun(x, n, mode{})
	task = &Task{Env: nr.env(r.jobs()), Inputs: map[string][]Input{}}
	for _, e := range n.Inputs {
		from, ok := result.Node(e.From.Name)
		if !ok || from.Outputs[e.FromPort] == nil {
			return nil, nil, errors.Join(fmt.Errorf("stage %s gave no %s", e.From.Name, e.FromPort), result.Close())
		}
		a := from.Outputs[e.FromPort]
		if a.name = e.name(); !e.Many {
			a.name, a.coordinates = e.Port, nil
		}
		task.Inputs[e.Port] = append(task.Inputs[e.Port], a)
	}
	return task, result.Close, nil
}
