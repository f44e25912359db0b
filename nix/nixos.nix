# A NixOS whose users may attach to a site: gfattach is there, and the daemon lets everybody take from the
# site's substituter what the site's keys signed. Nobody becomes a trusted user, who is as good as root.
{ self }:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.programs.gfattach;
  site = import ./site.nix {
    inherit lib;
    format = pkgs.formats.toml { };
  };
in
{
  options.programs.gfattach = {
    enable = lib.mkEnableOption "gfattach, which attaches to a shared Bazel cache and a shared Nix cache";
    package = lib.mkOption {
      type = lib.types.package;
      default = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
      description = "The gfattach to install.";
    };
    site = {
      inherit (site.options) substituter publicKeys;
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    nix.settings = lib.mkIf (cfg.site.substituter != null) {
      trusted-substituters = [ cfg.site.substituter ];
      trusted-public-keys = cfg.site.publicKeys;
    };
    assertions = [
      {
        assertion = cfg.site.substituter == null || cfg.site.publicKeys != [ ];
        message = "programs.gfattach.site.substituter needs programs.gfattach.site.publicKeys: Nix refuses unsigned paths";
      }
    ];
  };
}
