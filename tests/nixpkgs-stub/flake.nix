{
  description = "As much of nixpkgs as gfattach's flake names, built with nothing but /bin/sh";

  outputs =
    { self }:
    let
      lib = import ./lib.nix;

      # The Python that stands for nixpkgs', with every dependency: whoever copies the stub may name one.
      python =
        if builtins.pathExists ./python then builtins.readFile ./python else "/usr/bin/env python3";

      # What a script of the shell makes. It finds its tools where every Debian-like machine has them.
      build =
        system: name: inputs: script:
        derivation {
          inherit name system script;
          builder = "/bin/sh";
          PATH = builtins.concatStringsSep ":" (map (input: "${input}/bin") inputs ++ [ "/usr/bin:/bin" ]);
          args = [
            "-e"
            "-c"
            "eval \"$script\""
          ];
        };

      # A script in the store, at a place within its output.
      script =
        system: name: place: text:
        build system name [ ] ''
          mkdir -p "$(dirname "$out${place}")"
          cat > "$out${place}" <<'SCRIPT'
          #!/bin/sh
          ${text}
          SCRIPT
          chmod +x "$out${place}"
        '';

      # A value as TOML has it: that of JSON, as far as a site goes.
      toml =
        tables:
        builtins.concatStringsSep "\n" (
          builtins.attrValues (
            builtins.mapAttrs (
              table: values:
              builtins.concatStringsSep "\n" (
                [ "[${table}]" ]
                ++ builtins.attrValues (builtins.mapAttrs (name: value: "${name} = ${builtins.toJSON value}") values)
              )
            ) tables
          )
        );

      packagesFor = system: {
        stdenv.hostPlatform = {
          inherit system;
          isLinux = builtins.match ".*-linux" system != null;
          isDarwin = builtins.match ".*-darwin" system != null;
        };
        curl = script system "curl" "" "";
        git = script system "git" "" "";
        go = script system "go" "" "";
        kubectl = script system "kubectl" "" "";
        nixfmt-tree = script system "treefmt" "/bin/treefmt" "echo formatted $# files";
        ruff = script system "ruff" "" "";
        zstd = script system "zstd" "" "";
        formats.toml = _: {
          type = lib.types.attrsOf (lib.types.attrsOf lib.types.anything);
          generate = name: tables: builtins.toFile name (toml tables);
        };
        mkShell = attributes: script system "shell" "" "";
        runCommand = name: attributes: build system name attributes.nativeBuildInputs;
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
            "backports-zstd"
            "brotli"
            "check-jsonschema"
            "junitparser"
            "keyring"
            "kubernetes"
            "matplotlib"
            "msgspec"
            "mypy"
            "platformdirs"
            "protobuf"
            "pytest"
            "pytest-subprocess"
            "pytest-xdist"
            "pyyaml"
            "rich"
            "tomli-w"
            "types-pyyaml"
            "websockets"
          ] (name: script system name "" "")
          // {
            # The source as it is, run by the Python that was named, once it has loaded what it says it can.
            buildPythonApplication =
              attributes:
              build system "${attributes.pname}-${attributes.version}" [ ] ''
                export PYTHONPATH=${attributes.src} PYTHONDONTWRITEBYTECODE=1 HOME=$PWD
                for module in ${toString attributes.pythonImportsCheck}; do
                  ${python} -c "import $module"
                done
                mkdir -p $out/bin
                {
                  echo '#!/bin/sh'
                  echo 'PYTHONPATH=${attributes.src} exec ${python} -m ${attributes.meta.mainProgram} "$@"'
                } > $out/bin/${attributes.meta.mainProgram}
                chmod +x $out/bin/${attributes.meta.mainProgram}
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
