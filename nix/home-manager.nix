# A home from which one attaches to a site: gfattach is there, and gfattach.toml describes the site.
{ self }:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.programs.gfattach;
  format = pkgs.formats.toml { };
  site = import ./site.nix { inherit lib format; };
  tables = site.tables cfg;
  written = lib.mkIf (tables != { }) { source = format.generate "gfattach.toml" tables; };
in
{
  options.programs.gfattach = {
    enable = lib.mkEnableOption "gfattach, which attaches to a shared Bazel cache and a shared Nix cache";
    package = lib.mkOption {
      type = lib.types.package;
      default = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
      description = "The gfattach to install.";
    };
    site = site.options;
    inherit (site) settings;
  };

  config = lib.mkIf cfg.enable {
    home.packages = [ cfg.package ];
    # Where gfattach looks for it on either system.
    xdg.configFile = lib.mkIf pkgs.stdenv.hostPlatform.isLinux { "gfattach/gfattach.toml" = written; };
    home.file = lib.mkIf pkgs.stdenv.hostPlatform.isDarwin {
      "Library/Application Support/gfattach/gfattach.toml" = written;
    };
  };
}
