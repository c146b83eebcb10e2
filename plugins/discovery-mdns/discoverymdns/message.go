package discoverymdns

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

const (
	domain      = "local."
	serviceName = "_syncbase._tcp." + domain
	// metaName asks for the kinds of services there are.
	metaName = "_services._dns-sd._udp." + domain

	// flushBit says, in the class of a record, that it replaces others of its name; in the class of a question it asks
	// for an answer by unicast.
	flushBit = 1 << 15

	// maxPacket is the largest packet of multicast DNS.
	maxPacket    = 9000
	maxQuestions = 32
	maxRecords   = 512
	maxLabel     = 63
	// questionBudget keeps a question with its known answers within one frame of a network.
	questionBudget = 1200
)

// instanceLabel names a node within the service. Long ids are cut, since the TXT record has the whole id.
func instanceLabel(nodeID []byte) string {
	s := hex.EncodeToString(nodeID)
	return s[:min(len(s), maxLabel-1)]
}

// message is what a packet says to us.
type message struct {
	id       uint16
	response bool
	// questions are those that a node answers.
	questions []dnsmessage.Question
	// known holds, in a question, the instances whose answer is not needed, and how long they are known for.
	known map[string]uint32
	// nodes are the adverts in a response.
	nodes []heard
}

// heard is an advert as it came.
type heard struct {
	instance string
	texts    []string
	// gone is set by a goodbye.
	gone bool
}

// asksFor reports whether one of the questions is for the instances of the service.
func (m message) asksFor(name string) bool {
	for _, q := range m.questions {
		if strings.EqualFold(q.Name.String(), name) {
			return true
		}
	}
	return false
}

var errTooMany = errors.New("the packet has too many parts")

// parseMessage reads a packet and keeps what concerns the service.
func parseMessage(packet []byte) (message, error) {
	var p dnsmessage.Parser
	header, err := p.Start(packet)
	if err != nil {
		return message{}, err
	}
	m := message{id: header.ID, response: header.Response}
	if header.OpCode != 0 || header.RCode != dnsmessage.RCodeSuccess {
		return m, nil
	}
	if m.response {
		if err := p.SkipAllQuestions(); err != nil {
			return m, err
		}
	} else if err := m.readQuestions(&p); err != nil {
		return m, err
	}
	if err := m.readRecords(p.AnswerHeader, p.SkipAnswer, &p); err != nil || !m.response {
		return m, err
	}
	if err := p.SkipAllAuthorities(); err != nil {
		return m, err
	}
	return m, m.readRecords(p.AdditionalHeader, p.SkipAdditional, &p)
}

func (m *message) readQuestions(p *dnsmessage.Parser) error {
	for n := 0; ; n++ {
		q, err := p.Question()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == maxQuestions {
			return errTooMany
		}
		m.questions = append(m.questions, q)
	}
}

// readRecords reads one section.
func (m *message) readRecords(next func() (dnsmessage.ResourceHeader, error), skip func() error, p *dnsmessage.Parser) error {
	for n := 0; ; n++ {
		h, err := next()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == maxRecords {
			return errTooMany
		}
		if err := m.readRecord(h, skip, p); err != nil {
			return err
		}
	}
}

func (m *message) readRecord(h dnsmessage.ResourceHeader, skip func() error, p *dnsmessage.Parser) error {
	name := strings.ToLower(h.Name.String())
	switch {
	case m.response && h.Type == dnsmessage.TypeTXT && strings.HasSuffix(name, "."+serviceName):
		txt, err := p.TXTResource()
		if err != nil {
			return err
		}
		m.nodes = append(m.nodes, heard{
			instance: strings.TrimSuffix(name, "."+serviceName),
			texts:    txt.TXT,
			gone:     h.TTL == 0,
		})
		return nil
	case !m.response && h.Type == dnsmessage.TypePTR && name == serviceName:
		ptr, err := p.PTRResource()
		if err != nil {
			return err
		}
		if m.known == nil {
			m.known = make(map[string]uint32)
		}
		m.known[strings.TrimSuffix(strings.ToLower(ptr.PTR.String()), "."+serviceName)] = h.TTL
		return nil
	default:
		return skip()
	}
}

// announcement makes the records of one node on one link.
type announcement struct {
	instance string
	texts    []string
	port     uint16
	hosts    []netip.Addr
}

// newAnnouncement reports false when there is nothing a neighbour on the link could use.
func newAnnouncement(advert discovery.Advert, on link) (announcement, bool) {
	filled := advert
	filled.Addresses = fillAddresses(advert.Addresses, on)
	if len(filled.Addresses) == 0 && len(advert.Addresses) > 0 {
		return announcement{}, false
	}
	a := announcement{instance: instanceLabel(advert.NodeID), texts: writeText(filled), hosts: on.hosts()}
	if len(filled.Addresses) > 0 {
		_, a.port, _ = splitAddress(filled.Addresses[0])
	}
	return a, true
}

// reply says how an announcement is to be sent.
type reply struct {
	ttl uint32
	// id and question are echoed to who asked from a port that is not that of multicast DNS.
	id       uint16
	question *dnsmessage.Question
}

// pack makes the packet. All records are answers: who asked for one of them needs the others too.
func (a announcement) pack(r reply) ([]byte, error) {
	host, err := dnsmessage.NewName(a.instance + "." + domain)
	if err != nil {
		return nil, fmt.Errorf("name of the host: %w", err)
	}
	instance, err := dnsmessage.NewName(a.instance + "." + serviceName)
	if err != nil {
		return nil, fmt.Errorf("name of the instance: %w", err)
	}
	service := dnsmessage.MustNewName(serviceName)
	unique := dnsmessage.Class(dnsmessage.ClassINET | flushBit)
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: r.id, Response: true, Authoritative: true})
	b.EnableCompression()
	steps := []error{b.StartQuestions()}
	if r.question != nil {
		unique = dnsmessage.ClassINET
		steps = append(steps, b.Question(*r.question))
	}
	header := func(name dnsmessage.Name, class dnsmessage.Class) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: name, Class: class, TTL: r.ttl}
	}
	steps = append(steps,
		b.StartAnswers(),
		b.PTRResource(header(service, dnsmessage.ClassINET), dnsmessage.PTRResource{PTR: instance}),
		b.SRVResource(header(instance, unique), dnsmessage.SRVResource{Port: a.port, Target: host}),
		b.TXTResource(header(instance, unique), dnsmessage.TXTResource{TXT: a.texts}),
	)
	for _, ip := range a.hosts[:min(len(a.hosts), discovery.MaxAddresses)] {
		if ip.Is4() {
			steps = append(steps, b.AResource(header(host, unique), dnsmessage.AResource{A: ip.As4()}))
		} else {
			steps = append(steps, b.AAAAResource(header(host, unique), dnsmessage.AAAAResource{AAAA: ip.As16()}))
		}
	}
	return finish(&b, steps)
}

// packMeta answers which kinds of services there are.
func packMeta(ttl uint32) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{Response: true, Authoritative: true})
	b.EnableCompression()
	header := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(metaName), Class: dnsmessage.ClassINET, TTL: ttl}
	return finish(&b, []error{
		b.StartAnswers(),
		b.PTRResource(header, dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(serviceName)}),
	})
}

// knownAnswer is an instance that need not answer a question.
type knownAnswer struct {
	instance string
	ttl      uint32
}

// packQuestion asks for all instances, except those that are known, as far as there is room to name them.
func packQuestion(known []knownAnswer) ([]byte, error) {
	service := dnsmessage.MustNewName(serviceName)
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{})
	b.EnableCompression()
	steps := []error{
		b.StartQuestions(),
		b.Question(dnsmessage.Question{Name: service, Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}),
		b.StartAnswers(),
	}
	size := len(serviceName) + 20
	for _, k := range known {
		// A record takes a pointer to the service's name, ten bytes, and the label with another pointer.
		if size += 2 + 10 + 1 + len(k.instance) + 2; size > questionBudget {
			break
		}
		target, err := dnsmessage.NewName(k.instance + "." + serviceName)
		if err != nil {
			continue
		}
		header := dnsmessage.ResourceHeader{Name: service, Class: dnsmessage.ClassINET, TTL: k.ttl}
		steps = append(steps, b.PTRResource(header, dnsmessage.PTRResource{PTR: target}))
	}
	return finish(&b, steps)
}

func finish(b *dnsmessage.Builder, steps []error) ([]byte, error) {
	if err := errors.Join(steps...); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return b.Finish()
}

// answers reports whether the question is for one of the announcement's records.
func (a announcement) answers(q dnsmessage.Question) bool {
	if class := q.Class &^ flushBit; class != dnsmessage.ClassINET && class != dnsmessage.ClassANY {
		return false
	}
	name := strings.ToLower(q.Name.String())
	is := func(types ...dnsmessage.Type) bool {
		return q.Type == dnsmessage.TypeALL || slices.Contains(types, q.Type)
	}
	switch name {
	case serviceName:
		return is(dnsmessage.TypePTR)
	case a.instance + "." + serviceName:
		return is(dnsmessage.TypeSRV, dnsmessage.TypeTXT)
	case a.instance + "." + domain:
		return is(dnsmessage.TypeA, dnsmessage.TypeAAAA)
	}
	return false
}
