{
  description = "Attach a small developer machine to a shared Bazel cache and a shared Nix cache";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forAllSystems = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
    in
    {
      packages = forAllSystems (pkgs: {
        default = pkgs.python3Packages.buildPythonApplication {
          pname = "gfattach";
          version = "0.1.0";
          pyproject = true;
          src = self;
          build-system = [ pkgs.python3Packages.hatchling ];
          dependencies = with pkgs.python3Packages; [
            click
            cryptography
            grpcio
            h11
            httpx
            keyring
            platformdirs
            protobuf
            pyyaml
            rich
            tomli-w
          ];
          doCheck = false;
          meta.mainProgram = "gfattach";
        };
      });

      # `nix run .#attach -- --trial` is `gfattach up --trial`.
      apps = forAllSystems (
        pkgs:
        let
          gfattach = self.packages.${pkgs.system}.default;
          attach = pkgs.writeShellScript "gfattach-attach" ''
            exec ${gfattach}/bin/gfattach up "$@"
          '';
        in
        {
          default = {
            type = "app";
            program = "${gfattach}/bin/gfattach";
          };
          attach = {
            type = "app";
            program = "${attach}";
          };
        }
      );

      devShells = forAllSystems (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ self.packages.${pkgs.system}.default ];
          packages = with pkgs.python3Packages; [
            hypothesis
            jsonschema
            pytest
            pytest-xdist
          ];
        };
      });
    };
}
