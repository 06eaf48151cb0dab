// SPDX-License-Identifier: LGPL-2.1-or-later

package kata

// #include <kata/kata.h>
import "C"

import (
	"runtime"
	"unsafe"
)

// Settings are values by section and key, each known to kata.conf(5). For one goroutine at a time.
type Settings struct{ handle *handle }

func releaseSettings(pointer unsafe.Pointer) { C.kata_settings_unref((*C.kata_settings)(pointer)) }

// NewSettings has every key at its default.
func NewSettings() (*Settings, error) {
	var cerr *C.kata_error
	pointer := C.kata_settings_new(0, &cerr)
	if pointer == nil {
		return nil, takeError(cerr)
	}
	return &Settings{newHandle(unsafe.Pointer(pointer), releaseSettings)}, nil
}

// Close lets go of the settings.
func (s *Settings) Close() { s.handle.close() }

// use is the pointer for one call, and what to do after it; nil for no settings.
func (s *Settings) use() (*C.kata_settings, func(), error) {
	if s == nil {
		return nil, func() {}, nil
	}
	pointer, err := s.handle.begin()
	if err != nil {
		return nil, nil, err
	}
	return (*C.kata_settings)(pointer), func() { s.handle.end(); runtime.KeepAlive(s) }, nil
}

// LoadFile takes over what a file says; the error names file, line, key and what is allowed.
func (s *Settings) LoadFile(path string) error {
	pointer, end, err := s.use()
	if err != nil {
		return err
	}
	defer end()
	cpath, free, err := cString(path)
	if err != nil {
		return err
	}
	defer free()
	var cerr *C.kata_error
	return takeStatus(C.kata_settings_load_file(pointer, cpath, 0, &cerr), &cerr)
}

// LoadAnnotations takes over what the annotations io.katacontainers.config.* of a bundle's config.json ask for. Those of
// the hypervisor must be among enable_annotations: load the file before. The error names the annotation.
func (s *Settings) LoadAnnotations(bundle string) error {
	pointer, end, err := s.use()
	if err != nil {
		return err
	}
	defer end()
	cbundle, free, err := cString(bundle)
	if err != nil {
		return err
	}
	defer free()
	var cerr *C.kata_error
	return takeStatus(C.kata_settings_load_annotations(pointer, cbundle, 0, &cerr), &cerr)
}

// Set sets one key, such as ("hypervisor.qemu", "default_vcpus", 4): a text, a number, a truth value or a list of texts.
func (s *Settings) Set(section, key string, value any) error {
	// JSON writes values as kata.conf does.
	text, err := marshal("key '"+key+"'", value)
	if err != nil {
		return err
	}
	pointer, end, err := s.use()
	if err != nil {
		return err
	}
	defer end()
	texts, free, err := cStrings(section, key, string(text))
	if err != nil {
		return err
	}
	defer free()
	var cerr *C.kata_error
	return takeStatus(C.kata_settings_set(pointer, texts[0], texts[1], texts[2], &cerr), &cerr)
}

// Get is one key's value, written as in kata.conf.
func (s *Settings) Get(section, key string) (string, error) {
	pointer, end, err := s.use()
	if err != nil {
		return "", err
	}
	defer end()
	texts, free, err := cStrings(section, key)
	if err != nil {
		return "", err
	}
	defer free()
	var cerr *C.kata_error
	text := C.kata_settings_get(pointer, texts[0], texts[1], &cerr)
	return takeText(text, &cerr)
}

// Setting is one key, its value and where that is from.
type Setting struct {
	Section string `json:"section"`
	Key     string `json:"key"`
	Value   any    `json:"value"`
	Default any    `json:"default"`
	Source  string `json:"source"`  // "default", "FILE:LINE", "annotation NAME", or "caller" for Set
	Allowed string `json:"allowed"` // what the key takes, in words
	Meaning string `json:"meaning"`
}

// IgnoredSetting is a key of upstream's that a file names and that has no effect here.
type IgnoredSetting struct {
	Section string `json:"section"`
	Key     string `json:"key"`
	Source  string `json:"source"` // "FILE:LINE"
	Why     string `json:"why"`
}

type settingsDocument struct {
	Settings []Setting
	Ignored  []IgnoredSetting
}

func (s *Settings) document() (settingsDocument, error) {
	pointer, end, err := s.use()
	if err != nil {
		return settingsDocument{}, err
	}
	defer end()
	var cerr *C.kata_error
	text := C.kata_settings_describe(pointer, 0, &cerr)
	return parseJSON[settingsDocument](takeText(text, &cerr))
}

// Describe is every setting there is.
func (s *Settings) Describe() ([]Setting, error) {
	document, err := s.document()
	return document.Settings, err
}

// Ignored is what the files that were loaded name in vain.
func (s *Settings) Ignored() ([]IgnoredSetting, error) {
	document, err := s.document()
	return document.Ignored, err
}

// Text is every key that a file or Set has named, in the form of kata.conf.
func (s *Settings) Text() string {
	pointer, end, err := s.use()
	if err != nil {
		return ""
	}
	defer end()
	var none *C.kata_error
	text, _ := takeText(C.kata_settings_to_text(pointer), &none)
	return text
}

// DomainXML is the libvirt domain XML of a sandbox with these settings; starts nothing.
func (s *Settings) DomainXML(sandboxID, root string) (string, error) {
	pointer, end, err := s.use()
	if err != nil {
		return "", err
	}
	defer end()
	texts, free, err := cStrings(sandboxID, root)
	if err != nil {
		return "", err
	}
	defer free()
	var cerr *C.kata_error
	text := C.kata_domain_xml(pointer, texts[0], texts[1], 0, &cerr)
	return takeText(text, &cerr)
}

// DomainXMLForBundle is DomainXML, of the size and with the network cards for the container of a bundle.
func (s *Settings) DomainXMLForBundle(sandboxID, root, bundle string) (string, error) {
	pointer, end, err := s.use()
	if err != nil {
		return "", err
	}
	defer end()
	texts, free, err := cStrings(sandboxID, root, bundle)
	if err != nil {
		return "", err
	}
	defer free()
	var cerr *C.kata_error
	text := C.kata_domain_xml_for_bundle(pointer, texts[0], texts[1], texts[2], 0, &cerr)
	return takeText(text, &cerr)
}
