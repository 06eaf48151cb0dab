// SPDX-License-Identifier: LGPL-2.1-or-later

package kata

// #include <kata/kata.h>
import "C"

import (
	"context"
	"time"
	"unsafe"
)

// Template is a saved guest from which others of the same configuration start.
type Template struct {
	Key      string    `json:"key"`
	Bytes    int64     `json:"bytes"`
	UsedAt   time.Time `json:"used_at"`
	FailedAt time.Time `json:"failed_at"` // zero for those that are there
	Why      string    `json:"why"`
}

// StandbyGuest is a guest of the pool.
type StandbyGuest struct {
	Name     string    `json:"name"`
	Template string    `json:"template"` // the key of the one it is from
	PID      int       `json:"pid"`      // QEMU's
	MadeAt   time.Time `json:"made_at"`
}

// askWith is ask with settings over those of the client's file; nil for none.
func askWith[T any](ctx context.Context, c *Client, settings *Settings,
	f func(*C.kata_context, *C.kata_settings) (T, error)) (T, error) {
	return ask(ctx, c.handle, func(pointer unsafe.Pointer) (T, error) {
		csettings, end, err := settings.use()
		if err != nil {
			var none T
			return none, err
		}
		defer end()
		return f((*C.kata_context)(pointer), csettings)
	})
}

// CreateTemplate boots a guest and saves it; its key, and whether there was none before.
func (c *Client) CreateTemplate(ctx context.Context, settings *Settings) (key string, isNew bool, err error) {
	type template struct {
		key   string
		isNew bool
	}
	made, err := askWith(ctx, c, settings, func(pointer *C.kata_context, values *C.kata_settings) (template, error) {
		var cerr *C.kata_error
		var cnew C.int
		made := C.kata_template_create(pointer, values, 0, &cnew, &cerr)
		key, err := takeText(made, &cerr)
		return template{key, cnew != 0}, err
	})
	return made.key, made.isNew, err
}

// Templates are the saved guests.
func (c *Client) Templates(ctx context.Context, settings *Settings) ([]Template, error) {
	return askWith(ctx, c, settings, func(pointer *C.kata_context, values *C.kata_settings) ([]Template, error) {
		var cerr *C.kata_error
		text := C.kata_template_list(pointer, values, 0, &cerr)
		return parseJSON[[]Template](takeText(text, &cerr))
	})
}

// RemoveTemplates removes all of them; their keys.
func (c *Client) RemoveTemplates(ctx context.Context, settings *Settings) ([]string, error) {
	return askWith(ctx, c, settings, func(pointer *C.kata_context, values *C.kata_settings) ([]string, error) {
		var cerr *C.kata_error
		removed := C.kata_template_remove(pointer, values, 0, &cerr)
		return takeList(removed, &cerr)
	})
}

// FillPool lets as many guests stand by as the setting factory.vm_cache_number says: how many it made, how many stand by.
func (c *Client) FillPool(ctx context.Context, settings *Settings) (made, ready int, err error) {
	counts, err := askWith(ctx, c, settings, func(pointer *C.kata_context, values *C.kata_settings) ([2]int, error) {
		var cerr *C.kata_error
		var cmade, cready C.uint32_t
		result := C.kata_pool_fill(pointer, values, 0, &cmade, &cready, &cerr)
		return [2]int{int(cmade), int(cready)}, takeStatus(result, &cerr)
	})
	return counts[0], counts[1], err
}

// Pool is the guests that stand by.
func (c *Client) Pool(ctx context.Context, settings *Settings) ([]StandbyGuest, error) {
	return askWith(ctx, c, settings, func(pointer *C.kata_context, values *C.kata_settings) ([]StandbyGuest, error) {
		var cerr *C.kata_error
		text := C.kata_pool_list(pointer, values, 0, &cerr)
		return parseJSON[[]StandbyGuest](takeText(text, &cerr))
	})
}

// EmptyPool ends all guests that stand by; how many.
func (c *Client) EmptyPool(ctx context.Context, settings *Settings) (int, error) {
	return askWith(ctx, c, settings, func(pointer *C.kata_context, values *C.kata_settings) (int, error) {
		var cerr *C.kata_error
		var removed C.uint32_t
		result := C.kata_pool_empty(pointer, values, 0, &removed, &cerr)
		return int(removed), takeStatus(result, &cerr)
	})
}
