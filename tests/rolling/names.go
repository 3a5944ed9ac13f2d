package main

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// headlessService is the DNS server for a Service without a cluster IP: one A record for each ready
// pod. It caches its answers, as CoreDNS and NodeLocal DNSCache do.
type headlessService struct {
	socket net.PacketConn
	name   string
	keep   time.Duration

	mu    sync.Mutex
	ready []netip.Addr
	kept  []netip.Addr
	until time.Time
	asked int
}

func serveNames(name string, keep time.Duration) (*headlessService, error) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	service := &headlessService{socket: socket, name: name + ".", keep: keep}
	go service.serve()
	return service, nil
}

func (s *headlessService) address() string { return s.socket.LocalAddr().String() }

func (s *headlessService) add(pod netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = append(s.ready, pod)
}

func (s *headlessService) remove(pod netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = slices.DeleteFunc(slices.Clone(s.ready), func(each netip.Addr) bool { return each == pod })
}

// questions returns the number of DNS queries from clients.
func (s *headlessService) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *headlessService) answer() []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if now := time.Now(); now.After(s.until) {
		s.kept, s.until = slices.Clone(s.ready), now.Add(s.keep)
	}
	return s.kept
}

func (s *headlessService) serve() {
	packet := make([]byte, 1500)
	for {
		n, from, err := s.socket.ReadFrom(packet)
		if err != nil {
			return
		}
		if reply, err := s.reply(packet[:n]); err == nil {
			_, _ = s.socket.WriteTo(reply, from)
		}
	}
}

func (s *headlessService) reply(packet []byte) ([]byte, error) {
	var parser dnsmessage.Parser
	asked, err := parser.Start(packet)
	if err != nil {
		return nil, err
	}
	question, err := parser.Question()
	if err != nil {
		return nil, err
	}
	header := dnsmessage.Header{ID: asked.ID, Response: true, Authoritative: true, RecursionAvailable: true, RecursionDesired: asked.RecursionDesired}
	known := strings.EqualFold(question.Name.String(), s.name)
	if !known {
		header.RCode = dnsmessage.RCodeNameError
	}
	builder := dnsmessage.NewBuilder(nil, header)
	if err := builder.StartQuestions(); err != nil {
		return nil, err
	}
	if err := builder.Question(question); err != nil {
		return nil, err
	}
	if err := builder.StartAnswers(); err != nil {
		return nil, err
	}
	if known && question.Type == dnsmessage.TypeA {
		for _, pod := range s.answer() {
			resource := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET}
			if err := builder.AResource(resource, dnsmessage.AResource{A: pod.As4()}); err != nil {
				return nil, err
			}
		}
	}
	return builder.Finish()
}
