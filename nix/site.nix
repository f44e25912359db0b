# What a site is to both modules: the options that describe it, and the settings that they amount to.
{ lib, format }:
let
  inherit (lib) types;
  optional =
    type: description:
    lib.mkOption {
      inherit description;
      type = types.nullOr type;
      default = null;
    };
  # A daemon compares addresses as text: as gfattach writes them, without capitals in the host and without a
  # slash at the end. Parameters could turn signatures off, and a password would be in the store for all.
  cacheAddress = types.strMatching "https?://[^/?#@A-Z[:space:]]+(/[^/?#[:space:]]+)*";
  publicKey = types.strMatching "[^:[:space:]]+:[A-Za-z0-9+/]{43}=";
  withValues = lib.filterAttrs (_: value: value != null && value != [ ]);
in
{
  options = {
    name = optional types.str "What people call this site.";
    cache = optional types.str "The Bazel cache: grpc://, grpcs://, http:// or https://.";
    instance = optional types.str "The REAPI instance name.";
    substituter = optional cacheAddress "The Nix binary cache, without a slash at its end.";
    publicKeys = lib.mkOption {
      type = types.listOf publicKey;
      default = [ ];
      description = "The keys that sign the Nix binary cache, NAME:BASE64 each.";
    };
    signedPath = optional types.str "An input-addressed store path that the operator published.";
  };

  settings = lib.mkOption {
    inherit (format) type;
    default = { };
    description = "Further settings of gfattach.toml, by table; `gfattach help site` says which there are.";
  };

  # The content of gfattach.toml. What `settings` says comes before what `site` says.
  tables =
    cfg:
    lib.filterAttrs (_: table: table != { }) (
      lib.recursiveUpdate {
        site = withValues { inherit (cfg.site) name; };
        cache = withValues {
          endpoint = cfg.site.cache;
          inherit (cfg.site) instance;
        };
        nix = withValues {
          inherit (cfg.site) substituter;
          public_keys = cfg.site.publicKeys;
          signed_path = cfg.site.signedPath;
        };
      } cfg.settings
    );
}
