package runner

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"sync"
)

// handshakeLine is what go-plugin calls its core protocol: version|version|network|address, and more.
var handshakeLine = regexp.MustCompile(`^\d{1,9}\|\d{1,9}\|[a-z]+\|[^|]+(\|.*)?$`)

// maxNoise is how many bytes a plugin may print before its handshake.
const maxNoise = 64 << 10

// greeting passes the handshake line of a plugin's standard output to go-plugin and everything else to Output.
type greeting struct {
	out  *Output
	pass *io.PipeWriter

	mu    sync.Mutex // guards the fields below
	seen  bool
	noise string // the first line that was no handshake
}

// run reads standard output until it ends. It keeps reading after the handshake, so that the plugin never blocks.
func (g *greeting) run(stdout io.Reader) {
	r := bufio.NewReaderSize(stdout, maxLine)
	for noise := 0; noise <= maxNoise; {
		line, _, err := r.ReadLine() // of a longer line, a piece
		if g.greet(line) {
			break
		}
		noise += len(line) + 1
		g.out.Line(line)
		if err != nil {
			break
		}
	}
	g.pass.Close()
	g.out.Copy(r)
}

func (g *greeting) greet(line []byte) bool {
	g.mu.Lock()
	if g.seen || !handshakeLine.Match(line) {
		if !g.seen && g.noise == "" {
			g.noise = string(line[:min(len(line), 200)])
		}
		g.mu.Unlock()
		return false
	}
	g.seen = true
	g.mu.Unlock()

	// A write to a closed pipe means that go-plugin no longer waits.
	_, _ = fmt.Fprintf(g.pass, "%s\n", line)
	return true
}

// state returns whether the handshake came, and what came instead of it.
func (g *greeting) state() (seen bool, noise string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen, g.noise
}
