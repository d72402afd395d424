package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/laminafs/lamina/internal/oracle"
)

func init() {
	moreCommands["registry"], moreCommands["door"], moreCommands["noise"] = startRegistry, doorCommand, noise
}

// TestRegistryScripts uses the registry of the distribution project.
func TestRegistryScripts(t *testing.T) {
	oracle.NeedRoot(t)
	oracle.Need(t, "runc")
	runScripts(t, "registry", map[string]string{
		"BUSYBOX": staticProgram(t), "REGISTRY": registryProgram(t),
		// A user who is not root, but may read where the tests lie.
		"NOBODY": "--reuid=65534 --regid=65534 --clear-groups",
	})
}

// registryProgram is what tools/registry.sh has made.
func registryProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(oracle.Root(t), ".cache/registry/registry")
	if _, err := os.Stat(path); err != nil {
		oracle.Missing(t, "registry: tools/registry.sh .cache/registry")
	}
	return path
}

// startRegistry starts a registry whose address is in a variable: registry VAR [tls] [password]. Before it is a door that
// counts requests and can be told to misbehave: see door. With tls the door speaks HTTPS, and its certificate is in
// VAR.pem; with password only the user "anna" with the password "secret" may come in.
func startRegistry(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) > 0, "registry VAR [tls] [password]")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	addr := l.Addr().String()
	ts.Check(l.Close())
	dir := ts.MkAbs("registry-" + args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"+
		"storage:\n  filesystem: {rootdirectory: %q}\nhttp: {addr: %q}\n", filepath.Join(dir, "data"), addr)
	if slices.Contains(args, "password") {
		passwords := filepath.Join(dir, "htpasswd")
		ts.Check(os.WriteFile(passwords, []byte(annasPassword), 0o600))
		text += fmt.Sprintf("auth:\n  htpasswd: {realm: test, path: %q}\n", passwords)
	}
	ts.Check(os.WriteFile(config, []byte(text), 0o600))
	cmd := exec.Command(ts.Getenv("REGISTRY"), "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for i := 0; ; i++ {
		r, err := http.Get("http://" + addr + "/v2/")
		if err == nil {
			_ = r.Body.Close()
			break
		}
		if i == 600 {
			ts.Fatalf("the registry does not start: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	openDoor(ts, args[0], addr, slices.Contains(args, "tls"))
}

// annasPassword is a line of htpasswd: "secret", by bcrypt.
const annasPassword = "anna:$2b$04$NTiOzZAaVfN.0.uRtfyy3O6xM/4TOqr0TKgDUIbx4OB1N/aC1gyJm\n"

// openDoor makes the door before the registry at addr.
func openDoor(ts *testscript.TestScript, name, addr string, secure bool) {
	d := &door{stall: -1}
	d.ReverseProxy = httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	d.ErrorLog = log.New(io.Discard, "", 0)
	d.ModifyResponse = d.modify
	d.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	s := httptest.NewUnstartedServer(d)
	s.Config.ErrorLog = d.ErrorLog // of those who do not trust its certificate
	if secure {
		s.StartTLS()
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
		ts.Check(os.WriteFile(ts.MkAbs(name+".pem"), text, 0o600))
	} else {
		s.Start()
	}
	ts.Defer(s.Close)
	_, host, _ := strings.Cut(s.URL, "://")
	ts.Setenv(name, host)
	doors.Store(host, d)
}

// doors are the doors by their addresses.
var doors sync.Map

// door stands before a registry.
type door struct {
	*httputil.ReverseProxy

	mu    sync.Mutex      // guards all below
	asked []*http.Request // since the last reset
	blobs int             // GETs of blobs, but for configs
	bytes int64           // of these
	cut   int64           // give no more bytes of blobs than this; 0: all
	slow  time.Duration
	from  string            // what has this in its path is redirected
	to    string            // to this
	stall int64             // be silent after as many bytes of each blob; negative: not
	bad   string            // what is wrong with blobs: see spoil
	other map[string]string // what is served in place of something whose path ends so
}

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.asked = append(d.asked, r.Clone(context.Background()))
	for suffix, file := range d.other {
		if strings.HasSuffix(r.URL.Path, suffix) || isOfFile(r.URL.Path, file) {
			d.mu.Unlock()
			serveInstead(w, file)
			return
		}
	}
	if d.from != "" && strings.Contains(r.URL.Path, d.from) {
		d.mu.Unlock()
		w.Header().Set("Location", d.to)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	d.mu.Unlock()
	if r.TLS != nil {
		r.Header.Set("X-Forwarded-Proto", "https") // the registry says where uploads go
	}
	d.ReverseProxy.ServeHTTP(w, r)
}

// isOfFile tells whether path asks for the manifest in a file by its digest, as clients do once a tag is resolved.
func isOfFile(path, file string) bool {
	b, err := os.ReadFile(file)
	return err == nil && strings.HasSuffix(path, "/manifests/"+digest.FromBytes(b).String())
}

// serveInstead serves a file as a manifest.
func serveInstead(w http.ResponseWriter, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	var doc struct{ MediaType string }
	_ = json.Unmarshal(b, &doc)
	w.Header().Set("Content-Type", doc.MediaType)
	_, _ = w.Write(b)
}

func (d *door) modify(r *http.Response) error {
	if r.Request.Method != http.MethodGet || !strings.Contains(r.Request.URL.Path, "/blobs/sha256:") || r.ContentLength < 1<<10 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cut > 0 && d.bytes >= d.cut {
		return errCutOff
	}
	d.blobs++
	spoil(r, d.bad)
	r.Body = &watchedBody{ReadCloser: r.Body, d: d, slow: d.slow, stall: d.stall, ctx: r.Request.Context()}
	return nil
}

// spoil makes an answer wrong: flip changes a byte, short leaves out the last one, long adds one, html is a page with the
// status of success, as captive portals have it.
func spoil(r *http.Response, how string) {
	if how == "" {
		return
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		r.Body = io.NopCloser(iotest.ErrReader(err))
		return
	}
	switch how {
	case "flip":
		b[len(b)/2] ^= 1
	case "short":
		b = b[:len(b)-1]
	case "long":
		b = append(b, 0)
	case "html":
		b = bytes.Repeat([]byte("<html>Please log in.</html>\n"), 100)
		r.Header.Set("Content-Type", "text/html")
	}
	r.StatusCode, r.ContentLength, r.Body = http.StatusOK, int64(len(b)), io.NopCloser(bytes.NewReader(b))
	r.Header.Set("Content-Length", strconv.Itoa(len(b)))
}

var errCutOff = errors.New("cut off")

// watchedBody is the body of a blob.
type watchedBody struct {
	io.ReadCloser
	d     *door
	slow  time.Duration
	stall int64           // bytes until silence; negative: none
	ctx   context.Context // of the request
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	if b.slow > 0 {
		time.Sleep(b.slow)
		p = p[:min(len(p), 64<<10)]
	}
	if b.stall == 0 {
		<-b.ctx.Done()
		return 0, b.ctx.Err()
	}
	if b.stall > 0 {
		p = p[:min(int64(len(p)), b.stall)]
	}
	n, err := b.ReadCloser.Read(p)
	if b.stall > 0 {
		b.stall -= int64(n)
	}
	b.d.mu.Lock()
	defer b.d.mu.Unlock()
	b.d.bytes += int64(n)
	if b.d.cut > 0 && b.d.bytes >= b.d.cut {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// doorCommand talks to a door: door HOST reset | cut N | slow DURATION | stall N | bad HOW | redirect PART URL | instead SUFFIX FILE | fetched N [BYTES] |
// asked METHOD | header NAME VALUE. fetched wants N layers, and no more than BYTES of them, to have been asked for since
// the last reset; asked wants a request with the method, "! door HOST asked ”" that there was none at all; header
// wants every request to have had the header.
func doorCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, len(args) > 1 && (!neg || args[1] == "asked"), "door HOST COMMAND ...")
	v, ok := doors.Load(args[0])
	need(ts, ok, "door HOST: a registry of this script")
	d := v.(*door)
	d.mu.Lock()
	defer d.mu.Unlock()
	number := func(i int) (n int64) {
		_, err := fmt.Sscan(args[i], &n)
		ts.Check(err)
		return n
	}
	switch args[1] {
	case "reset":
		d.asked, d.blobs, d.bytes, d.cut, d.slow, d.other = nil, 0, 0, 0, 0, nil
		d.stall, d.bad, d.from, d.to = -1, "", "", ""
	case "cut":
		d.cut = number(2)
	case "slow":
		var err error
		d.slow, err = time.ParseDuration(args[2])
		ts.Check(err)
	case "stall":
		d.stall = number(2)
	case "redirect":
		d.from, d.to = args[2], args[3]
	case "bad":
		d.bad = args[2]
	case "instead":
		if d.other == nil {
			d.other = map[string]string{}
		}
		d.other[args[2]] = ts.MkAbs(args[3])
	case "fetched":
		if int64(d.blobs) != number(2) || len(args) > 3 && d.bytes > number(3) {
			ts.Fatalf("%d layers, %d bytes were fetched", d.blobs, d.bytes)
		}
	case "asked":
		of := func(r *http.Request) bool { return args[2] == "" || r.Method == args[2] }
		if slices.ContainsFunc(d.asked, of) == neg {
			ts.Fatalf("%d requests, %v with %q", len(d.asked), neg, args[2])
		}
	case "header":
		if len(d.asked) == 0 || slices.ContainsFunc(d.asked, func(r *http.Request) bool { return r.Header.Get(args[2]) != args[3] }) {
			ts.Fatalf("%d requests, not all with %s: %s", len(d.asked), args[2], args[3])
		}
	default:
		ts.Fatalf("door: %s", args[1])
	}
}

// noise writes bytes that do not shrink: noise FILE BYTES.
func noise(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) == 2, "noise FILE BYTES")
	var n int
	_, err := fmt.Sscan(args[1], &n)
	ts.Check(err)
	b := make([]byte, n)
	x := uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}
