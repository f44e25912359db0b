{
  description = "Attach a small developer machine to a shared Bazel cache and a shared Nix cache";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forAllSystems = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      packageOf = pkgs: self.packages.${pkgs.stdenv.hostPlatform.system}.default;
      # A module that errors name by its file, and that may be imported from several places.
      moduleOf = file: {
        _file = file;
        key = toString file;
        imports = [ (import file { inherit self; }) ];
      };
      versionLine = builtins.match ".*__version__ = \"([^\"]+)\".*" (builtins.readFile ./gfattach/__init__.py);
    in
    {
      packages = forAllSystems (pkgs: {
        default = pkgs.python3Packages.buildPythonApplication {
          pname = "gfattach";
          version = builtins.head versionLine;
          pyproject = true;
          src = self;
          env.GFATTACH_COMMIT = self.rev or self.dirtyRev or "";
          build-system = [ pkgs.python3Packages.hatchling ];
          dependencies = with pkgs.python3Packages; [
            backports-zstd
            brotli
            click
            cryptography
            grpcio
            h11
            httpx
            keyring
            msgspec
            platformdirs
            protobuf
            pyyaml
            rich
            tomli-w
          ];
          # The tests want a Bazel, a Nix and a network of this machine's own; what is asked here is whether
          # all of it can be loaded with these dependencies.
          doCheck = false;
          pythonImportsCheck = [
            "gfattach"
            "gfattach.__main__"
            "gfattach.attach.up.up"
            "gfattach.cli.main"
            "gfattach.nixcache.client"
            "gfattach.probes.codes"
            "gfattach.reapi.grpc_client"
            "gfattach.trial.serve"
          ];
          meta = {
            description = "Attach a small developer machine to a shared Bazel cache and a shared Nix cache";
            license = lib.licenses.zlib;
            mainProgram = "gfattach";
            platforms = systems;
          };
        };
      });

      # `nix run .#attach -- --trial` is `gfattach up --trial`.
      apps = forAllSystems (
        pkgs:
        let
          gfattach = packageOf pkgs;
          attach = pkgs.writeShellScript "gfattach-attach" ''
            exec ${gfattach}/bin/gfattach up "$@"
          '';
        in
        {
          default = {
            type = "app";
            program = "${gfattach}/bin/gfattach";
            meta.description = "Attach to a shared Bazel cache and a shared Nix cache, look at it, undo it";
          };
          attach = {
            type = "app";
            program = "${attach}";
            meta.description = "gfattach up";
          };
        }
      );

      # Everything for development but Bazel, which is the project's own to choose: what the tests run and what
      # the test cluster is built with, too.
      devShells = forAllSystems (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ (packageOf pkgs) ];
          packages =
            (with pkgs.python3Packages; [
              check-jsonschema
              hypothesis
              jsonschema
              junitparser
              kubernetes
              matplotlib
              mypy
              pytest
              pytest-subprocess
              pytest-xdist
              types-pyyaml
              websockets
            ])
            ++ (with pkgs; [
              curl
              git
              go
              kubectl
              ruff
              zstd
            ]);
        };
      });

      checks = forAllSystems (pkgs: {
        package = packageOf pkgs;
        # The installed program says what it is, and every help topic.
        runs = pkgs.runCommand "gfattach-runs" { nativeBuildInputs = [ (packageOf pkgs) ]; } ''
          export HOME=$PWD
          gfattach --version > $out
          gfattach help exit-codes >> $out
          gfattach help codes >> $out
        '';
      });

      # The one that formats a tree: `nix fmt` names no file.
      formatter = forAllSystems (pkgs: pkgs.nixfmt-tree);

      nixosModules.default = moduleOf ./nix/nixos.nix;
      homeManagerModules.default = moduleOf ./nix/home-manager.nix;
    };
}
