// SPDX-License-Identifier: LGPL-2.1-or-later

package kata

// #include <kata/kata.h>
import "C"

import (
	"context"
	"encoding/json"
	"unsafe"
)

// Agent is a connection to a Kata agent.
type Agent struct{ handle *handle }

func releaseAgent(pointer unsafe.Pointer) { C.kata_agent_unref((*C.kata_agent)(pointer)) }

// ConnectAgent connects to vsock://CID:PORT, unix:///PATH or hvsock:///PATH:PORT; again and again until the context's
// deadline, if it has one.
func ConnectAgent(ctx context.Context, address string) (*Agent, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return inTime(ctx, func() (*Agent, error) {
		caddress, free, err := cString(address)
		if err != nil {
			return nil, err
		}
		defer free()
		var cerr *C.kata_error
		pointer := C.kata_agent_connect(caddress, milliseconds(ctx), 0, &cerr)
		if pointer == nil {
			return nil, takeError(cerr)
		}
		return &Agent{newHandle(unsafe.Pointer(pointer), releaseAgent)}, nil
	}, closeLate[*Agent])
}

// Close ends the connection.
func (a *Agent) Close() { a.handle.close() }

// Call makes one call, such as "AgentService.GetGuestDetails". request: what protobuf's JSON mapping makes the message of,
// or nil.
func (a *Agent) Call(ctx context.Context, method string, request any) (json.RawMessage, error) {
	return ask(ctx, a.handle, func(pointer unsafe.Pointer) (json.RawMessage, error) {
		return callAgent(method, request, func(cmethod, crequest *C.char, reply **C.char, cerr **C.kata_error) C.int {
			return C.kata_agent_call((*C.kata_agent)(pointer), cmethod, crequest, milliseconds(ctx), 0, reply, cerr)
		})
	})
}

func callAgent(method string, request any, call func(_, _ *C.char, _ **C.char, _ **C.kata_error) C.int) (json.RawMessage, error) {
	document := []byte("{}")
	if request != nil {
		var err error
		if document, err = marshal("request of "+method, request); err != nil {
			return nil, err
		}
	}
	cmethod, free, err := cString(method)
	if err != nil {
		return nil, err
	}
	defer free()
	crequest, free := cDocument(document)
	defer free()
	var cerr *C.kata_error
	var reply *C.char
	if err := takeStatus(call(cmethod, crequest, &reply, &cerr), &cerr); err != nil {
		return nil, err
	}
	text, err := takeText(reply, &cerr)
	return json.RawMessage(text), err
}

// AgentMethod is one method of the agent protocol.
type AgentMethod struct{ Name, RequestType, ReplyType string }

// AgentMethods are those of AgentService and of Health.
func AgentMethods() []AgentMethod {
	var methods []AgentMethod
	for at := C.kata_agent_method_next(nil); at != nil; at = C.kata_agent_method_next(at) {
		methods = append(methods, AgentMethod{C.GoString(C.kata_agent_method_get_name(at)),
			C.GoString(C.kata_agent_method_get_request_type(at)), C.GoString(C.kata_agent_method_get_reply_type(at))})
	}
	return methods
}

// DescribeMessage is JSON with the fields of a message, such as "grpc.Storage".
func DescribeMessage(messageType string) (json.RawMessage, error) {
	ctype, free, err := cString(messageType)
	if err != nil {
		return nil, err
	}
	defer free()
	var cerr *C.kata_error
	described := C.kata_agent_describe_message(ctype, 0, &cerr)
	text, err := takeText(described, &cerr)
	return json.RawMessage(text), err
}

// MessageTemplate is a message with all its members at their defaults, as JSON.
func MessageTemplate(messageType string) (json.RawMessage, error) {
	ctype, free, err := cString(messageType)
	if err != nil {
		return nil, err
	}
	defer free()
	var cerr *C.kata_error
	made := C.kata_agent_make_template(ctype, 0, &cerr)
	text, err := takeText(made, &cerr)
	return json.RawMessage(text), err
}
