package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// patience is the time limit for steps that usually take a second. It is long, because the machine
// may be busy.
const patience = time.Minute

// process is a child process. It is killed if this process ends.
type process struct {
	name    string
	command *exec.Cmd
	log     string
	ended   chan struct{}
	status  *os.ProcessState // Set when the process has ended.
}

func start(name, directory string, environment []string, words ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(directory, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := exec.Command(words[0], words[1:]...)
	command.Env = environment
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return nil, err
	}
	p := &process{name: name, command: command, log: log.Name(), ended: make(chan struct{})}
	go func() {
		// The process state has the exit code; an exit code other than 0 is not an error of Wait.
		_ = command.Wait()
		p.status = command.ProcessState
		close(p.ended)
	}()
	return p, nil
}

func (p *process) signal(s os.Signal) { _ = p.command.Process.Signal(s) }

// hasEnded returns whether the process has exited.
func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// endsWithin waits for the process for at most this time, and returns whether it has ended.
func (p *process) endsWithin(limit time.Duration) bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(limit):
		return false
	}
}

// kill sends SIGKILL, and waits until the process has ended.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// died returns the error for a process that ended unexpectedly.
func (p *process) died() error {
	log, _ := os.ReadFile(p.log)
	return fmt.Errorf("%s: %v; its log:\n%s", p.name, p.status, log)
}

// bedrock is the emulator. Like Bedrock, it uses TLS and HTTP/2.
type bedrock struct {
	*process
	url, authority string
}

const bearerToken = "rolling"

// startBedrock starts an emulator that sends this many tokens per second on each stream.
func startBedrock(binary, directory string, rate float64) (*bedrock, error) {
	pipe := filepath.Join(directory, "emulator.pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		return nil, err
	}
	authority := filepath.Join(directory, "ca.pem")
	emulator, err := start("emulator", directory, environment(), binary, "emulate", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0",
		"--ca-out", authority, "--bearer-token", bearerToken, "--time-to-first-token", "100ms", "--tokens-per-second", fmt.Sprint(rate),
		"--tokens", "1000000", "--announce", pipe)
	if err != nil {
		return nil, err
	}
	// The pipe is also opened for writing. Otherwise, opening it would block if the emulator never
	// writes.
	announced, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer announced.Close()
	urls := make(chan string)
	go func() {
		for lines := bufio.NewScanner(announced); lines.Scan(); {
			urls <- lines.Text()
		}
	}()
	var url string
	for range 2 {
		select {
		case url = <-urls:
		case <-emulator.ended:
			return nil, emulator.died()
		case <-time.After(patience):
			emulator.kill()
			return nil, emulator.died()
		}
	}
	return &bedrock{emulator, url, authority}, nil
}

// environment returns the environment of child processes. It has neither proxies nor the
// credentials of a real AWS account.
func environment() []string {
	return []string{"AWS_BEARER_TOKEN_BEDROCK=" + bearerToken, "AWS_EC2_METADATA_DISABLED=true", "HOME=/nonexistent"}
}
