package kernel

// Each calls do(worker, i) for i = 0 … n-1, spread over the pool's threads; worker, less than
// Threads, numbers the thread. do must not use the pool. It allocates nothing.
func (p *Pool) Each(n int, do func(worker, i int)) { p.run(n, each(do)) }

// each makes a function a task.
type each func(worker, i int)

func (e each) do(worker, i int) { e(worker, i) }
