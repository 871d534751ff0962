// A registry on loopback that has one image, read from an OCI layout by a library that is not ours.
//
//	oci LAYOUT NAME
//
// validates every blob of the layout against its descriptors, pushes the image as NAME with the tag of the layout,
// prints ADDRESS/NAME:TAG, and serves until standard input ends.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const tagAnnotation = "org.opencontainers.image.ref.name"

func main() {
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func serve(folder, repository string) error {
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return err
	}
	if err := validate.Index(index); err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	if len(manifest.Manifests) != 1 {
		return fmt.Errorf("%d images", len(manifest.Manifests))
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(listener, registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	reference := fmt.Sprintf("%s/%s:%s", listener.Addr(), repository, manifest.Manifests[0].Annotations[tagAnnotation])
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	if err := remote.Write(tag, image); err != nil {
		return err
	}
	fmt.Println(reference)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
