package main

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What go-grpc's client does by itself only is done here by hand, frame by frame.

const initialWindow = 65535

// peer is a client that writes its own frames.
type peer struct {
	*http2.Framer
	headers bytes.Buffer
	encoder *hpack.Encoder
}

func onFrames(socket string, config *tls.Config, run func(net.Conn) error) error {
	raw, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	conn := tls.Client(raw, config)
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	return run(conn)
}

func begin(conn net.Conn, settings ...http2.Setting) (*peer, error) {
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return nil, err
	}
	p := &peer{Framer: http2.NewFramer(conn, conn)}
	p.encoder = hpack.NewEncoder(&p.headers)
	return p, p.WriteSettings(settings...)
}

// call sends a unary call; what it needs of the window is small.
func (p *peer) call(stream uint32, method string, request []byte) error {
	p.headers.Reset()
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "https"}, {":path", "/t.T/" + method}, {":authority", "localhost"},
		{"te", "trailers"}, {"content-type", "application/grpc"},
	} {
		if err := p.encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			return err
		}
	}
	head := http2.HeadersFrameParam{StreamID: stream, BlockFragment: p.headers.Bytes(), EndHeaders: true}
	if err := p.WriteHeaders(head); err != nil {
		return err
	}
	message := make([]byte, 5, 5+len(request))
	binary.BigEndian.PutUint32(message[1:], uint32(len(request)))
	message = append(message, request...)
	for len(message) > 16384 {
		if err := p.WriteData(stream, false, message[:16384]); err != nil {
			return err
		}
		message = message[16384:]
	}
	return p.WriteData(stream, true, message)
}

// accept acknowledges settings, and keeps to the size of the table for header blocks.
func (p *peer) accept(settings *http2.SettingsFrame) error {
	if settings.IsAck() {
		return nil
	}
	if size, found := settings.Value(http2.SettingHeaderTableSize); found {
		p.encoder.SetMaxDynamicTableSize(size)
	}
	return p.WriteSettingsAck()
}

// read returns the data of a stream until it ends or `most` bytes are there. Settings are acknowledged.
func (p *peer) read(stream uint32, most int) (data []byte, ended bool, err error) {
	for len(data) < most && !ended {
		frame, err := p.ReadFrame()
		if err != nil {
			return data, false, err
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			err = p.accept(f)
		case *http2.PingFrame:
			if !f.IsAck() {
				err = p.WritePing(true, f.Data)
			}
		case *http2.DataFrame:
			if f.StreamID == stream {
				data = append(data, f.Data()...)
				ended = f.StreamEnded()
			}
		case *http2.HeadersFrame:
			ended = f.StreamID == stream && f.StreamEnded()
		case *http2.RSTStreamFrame:
			err = fmt.Errorf("the stream was reset: %v", f.ErrCode)
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				err = fmt.Errorf("the connection was ended: %v", f.ErrCode)
			}
		}
		if err != nil {
			return data, false, err
		}
	}
	return data, ended, nil
}

// shrinkingWindow takes back window that the server has used already: it has to wait out the debt.
func shrinkingWindow(conn net.Conn) error {
	p, err := begin(conn)
	if err != nil {
		return err
	}
	size := 60_000
	request := bytes.Repeat([]byte("0123456789"), size/10)
	if err := p.call(1, "Echo", request); err != nil {
		return err
	}
	first, ended, err := p.read(1, size+5)
	if err != nil || !bytes.Equal(first[5:], request) {
		return fmt.Errorf("%d bytes before the window shrank: %w", len(first), err)
	}
	for !ended {
		if _, ended, err = p.read(1, 1); err != nil {
			return err
		}
	}
	if err := p.call(3, "Echo", request); err != nil {
		return err
	}
	// Of the connection's window 5530 bytes are left, so this reply stops in its middle.
	second, _, err := p.read(3, initialWindow-size-5)
	if err != nil {
		return err
	}
	// The stream's window was 65535; from now on it is 1000, and what was sent has overdrawn it by 4530.
	if err := p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000}); err != nil {
		return err
	}
	if err := p.WriteWindowUpdate(0, 1<<20); err != nil {
		return err
	}
	if err := p.WritePing(false, [8]byte{1}); err != nil {
		return err
	}
	if err := p.nothingUntilPong(3); err != nil {
		return err
	}
	for allowed := 1000; len(second) < size+5; {
		if err := p.WriteWindowUpdate(3, 7000); err != nil {
			return err
		}
		allowed += 7000
		more, _, err := p.read(3, min(allowed, size+5)-len(second))
		if err != nil {
			return err
		}
		if second = append(second, more...); len(second) > allowed {
			return fmt.Errorf("%d bytes where %d were allowed", len(second), allowed)
		}
	}
	if !bytes.Equal(second[5:], request) {
		return errors.New("another reply after the window shrank")
	}
	return nil
}

// nothingUntilPong reads up to the answer to a ping, before which no data of the stream may come.
func (p *peer) nothingUntilPong(stream uint32) error {
	for {
		frame, err := p.ReadFrame()
		if err != nil {
			return err
		}
		switch f := frame.(type) {
		case *http2.DataFrame:
			if f.StreamID == stream && len(f.Data()) > 0 {
				return fmt.Errorf("%d bytes beyond a window that had shrunk", len(f.Data()))
			}
		case *http2.PingFrame:
			if f.IsAck() {
				return nil
			}
		}
	}
}

// clientGoAway announces the end of the connection while calls are in flight: they are answered all the same.
func clientGoAway(conn net.Conn) error {
	p, err := begin(conn)
	if err != nil {
		return err
	}
	for _, stream := range []uint32{1, 3, 5} {
		if err := p.call(stream, "Sleep", []byte("before")); err != nil {
			return err
		}
	}
	if err := p.WriteGoAway(0, http2.ErrCodeNo, []byte("leaving")); err != nil {
		return err
	}
	missing := map[uint32]bool{1: true, 3: true, 5: true}
	for len(missing) > 0 {
		frame, err := p.ReadFrame()
		if err != nil {
			return fmt.Errorf("%d calls unanswered: %w", len(missing), err)
		}
		switch f := frame.(type) {
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				delete(missing, f.StreamID)
			}
		case *http2.SettingsFrame:
			err = p.accept(f)
		case *http2.RSTStreamFrame:
			err = fmt.Errorf("stream %d was reset: %v", f.StreamID, f.ErrCode)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
