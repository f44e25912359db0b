{
  description = "As much of nixpkgs as gfattach's flake names, built with nothing but /bin/sh";

  outputs =
    { self }:
    let
      lib.genAttrs =
        names: value:
        builtins.listToAttrs (
          map (name: {
            inherit name;
            value = value name;
          }) names
        );

      # A script in the store. The builder finds its tools where every Debian-like machine has them.
      script =
        system: name: place: text:
        derivation {
          inherit name system text;
          builder = "/bin/sh";
          PATH = "/usr/bin:/bin";
          args = [
            "-c"
            "mkdir -p \"$(dirname \"$out${place}\")\"; printf '#!/bin/sh\\n%s' \"$text\" > \"$out${place}\"; chmod +x \"$out${place}\""
          ];
        };

      packagesFor = system: {
        inherit system;
        mkShell = attributes: script system "shell" "" "";
        writeShellScript = name: script system name "";
        python3Packages =
          lib.genAttrs [
            "click"
            "cryptography"
            "grpcio"
            "h11"
            "hatchling"
            "httpx"
            "hypothesis"
            "jsonschema"
            "keyring"
            "platformdirs"
            "protobuf"
            "pytest"
            "pytest-xdist"
            "pyyaml"
            "rich"
            "tomli-w"
          ] (name: script system name "" "")
          // {
            # The source as it is, run by the Python on PATH.
            buildPythonApplication =
              attributes:
              script system attributes.pname "/bin/${attributes.meta.mainProgram}" ''
                PYTHONPATH=${attributes.src} exec python3 -m gfattach "$@"
              '';
          };
      };
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ] packagesFor;
    };
}
