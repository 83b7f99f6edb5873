package program

import (
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// start runs a command in a process group of its own. If this process is killed, the system kills the command: that is bound
// to the thread that started it, and so this one is kept.
func start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			// Wait is called elsewhere; this only sees the end.
			waitEnd(cmd.Process.Pid)
		}
		runtime.UnlockOSThread()
	}()
	return <-started
}

// waitEnd waits until a process has ended, and leaves its status to others.
func waitEnd(pid int) {
	for {
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			return
		}
	}
}

// killGroup kills a process and all in its group.
func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
