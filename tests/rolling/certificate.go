package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"time"

	"google.golang.org/grpc/credentials"
)

// renewal is a pod with TLS and its certificate. The pod is not part of the Service.
type renewal struct {
	*pod
	authority *authority
	secret    *volume
	trusted   *tls.Config
	endpoint  string
}

// certificateChanges renews the certificate of a running pod repeatedly. Every fourth certificate
// has a key that does not match, and the pod refuses it.
func (d *drill) certificateChanges() error {
	var saw *tally
	title := fmt.Sprintf("%d renewed certificates, every fourth one wrong, without a restart", d.changes)
	return d.scenario(title, func() (string, error) {
		r, err := d.startWithTLS()
		if err != nil {
			return "", err
		}
		defer func() {
			if !r.hasEnded() {
				r.kill()
			}
		}()
		clients, err := dial("passthrough:///"+r.endpoint, filepath.Join(d.root, "examples/service_config.json"), credentials.NewTLS(r.trusted))
		if err != nil {
			return "", err
		}
		streams := d.streams / 10
		clients.begin(streams+streams/5, d.tokens(shortest), d.tokens(d.longest))
		err = clients.awaitRest(streams, []*pod{r.pod})
		longest := time.Duration(0)
		for n := 0; n < d.changes && err == nil; n++ {
			var took time.Duration
			took, err = r.renew(n%4 == 3)
			longest = max(longest, took)
		}
		clients.close()
		saw = clients.take()
		end := r.stop()
		if longest > inEffect {
			err = errors.Join(err, fmt.Errorf("a renewal took %v; at most %v is expected", longest, inEffect))
		}
		said := fmt.Sprintf("%d renewals under %d streams over TLS; the longest took %.1f s. What the clients with TLS saw:\n%v", d.changes, streams, longest.Seconds(), saw)
		return said, errors.Join(err, end.error)
	}, func(others *tally) []string { return append(nothing(others), nothing(saw)...) })
}

// startWithTLS starts a pod with a certificate for its address.
func (d *drill) startWithTLS() (*renewal, error) {
	authority, err := newAuthority()
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.certificate)
	address := d.nextAddress()
	r := &renewal{authority: authority, trusted: &tls.Config{RootCAs: roots}, endpoint: fmt.Sprintf("%v:%d", address, d.port),
		secret: &volume{folder: filepath.Join(d.work, "certificate")}}
	first, err := authority.issue(address)
	if err != nil {
		return nil, err
	}
	if err := r.secret.write(first.files()); err != nil {
		return nil, err
	}
	plain, life := d.life, *d.life
	life.config = maps.Clone(life.config)
	life.config["tls"] = map[string]any{"certificate_file": r.secret.path("tls.crt"), "key_file": r.secret.path("tls.key")}
	d.life = &life
	defer func() { d.life = plain }()
	r.pod, err = d.startPod(address)
	return r, err
}

func (i *issued) files() map[string][]byte {
	return map[string][]byte{"tls.crt": i.crt, "tls.key": i.keyFile}
}

// renew writes another certificate, and returns how long it took until the pod used or refused it.
func (r *renewal) renew(isWrong bool) (time.Duration, error) {
	before, err := r.served()
	if err != nil {
		return 0, err
	}
	next, err := r.authority.issue(r.address)
	if err != nil {
		return 0, err
	}
	files := next.files()
	if isWrong {
		other, err := r.authority.issue(r.address)
		if err != nil {
			return 0, err
		}
		files["tls.key"] = other.keyFile
	}
	begun := time.Now()
	if err := r.secret.write(files); err != nil {
		return 0, err
	}
	for {
		ok, err := r.metric(successful)
		if err != nil {
			return 0, err
		}
		now, err := r.served()
		if err != nil {
			return 0, err
		}
		took := time.Since(begun)
		switch {
		case isWrong && !now.Equal(before):
			return 0, fmt.Errorf("%s: the pod uses a certificate whose key does not match", r.name)
		case isWrong && ok == 0, !isWrong && now.Equal(next.certificate):
			return took, nil
		case took > patience:
			return 0, fmt.Errorf("%s: a renewed certificate has no effect after %v; see its log: %s", r.name, took, r.log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// served returns the certificate that a new connection gets.
func (r *renewal) served() (*x509.Certificate, error) {
	config := r.trusted.Clone()
	config.NextProtos = []string{"h2"}
	connection, err := tls.Dial("tcp", r.endpoint, config)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0], nil
}
