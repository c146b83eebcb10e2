package main

import (
	"io"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows a person how far something is, on standard error. Where nobody looks it does nothing.
type progress struct {
	bars *mpb.Progress
	bar  *mpb.Bar
	last atomic.Int64
}

// progress starts a bar over so many bytes; 0 when that is not known.
func (a *app) progress(name string, total int64) *progress {
	p := &progress{}
	if a.json() || !isTerminal(a.err) {
		return p
	}
	p.bars = mpb.New(mpb.WithOutput(a.err), mpb.WithWidth(40))
	p.bar = p.bars.AddBar(total,
		mpb.PrependDecorators(decor.Name(name+" "), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.Percentage(), decor.Name(" "), decor.AverageSpeed(decor.SizeB1024(0), "% .1f")),
	)
	return p
}

// total tells how much there is in all.
func (p *progress) total(n int64) {
	if p.bar != nil {
		p.bar.SetTotal(n, false)
	}
}

// at tells how far it is.
func (p *progress) at(n int64) {
	if p.bar != nil {
		p.bar.SetCurrent(n)
	}
}

func (p *progress) add(n int) { p.at(p.last.Add(int64(n))) }

// end takes the bar away from under what is printed next.
func (p *progress) end() {
	if p.bar != nil {
		p.bar.SetTotal(-1, true)
		p.bars.Wait()
	}
}

// reading counts what is read.
func (p *progress) reading(r io.Reader) io.Reader { return countedReader{r, p} }

// writing counts what is written.
func (p *progress) writing(w io.Writer) io.Writer { return countedWriter{w, p} }

type countedReader struct {
	io.Reader
	p *progress
}

func (c countedReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.p.add(n)
	return n, err
}

type countedWriter struct {
	io.Writer
	p *progress
}

func (c countedWriter) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.p.add(n)
	return n, err
}
