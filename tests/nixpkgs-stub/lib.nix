# As much of nixpkgs' lib as the flake and its modules use. Options have one value or are merged by their
# type; conditions are pushed down to the options, so that one option's may depend on another.
let
  lib = rec {
    genAttrs =
      names: value:
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = value name;
        }) names
      );

    filterAttrs =
      keep: set:
      builtins.removeAttrs set (builtins.filter (name: !keep name set.${name}) (builtins.attrNames set));

    recursiveUpdate =
      left: right:
      left
      // builtins.mapAttrs (
        name: value:
        if builtins.isAttrs value && left ? ${name} && builtins.isAttrs left.${name} then
          recursiveUpdate left.${name} value
        else
          value
      ) right;

    licenses.zlib = "Zlib";

    mkOption = option: option // { _type = "option"; };
    mkEnableOption =
      name:
      mkOption {
        type = types.bool;
        default = false;
        description = "Whether to enable ${name}.";
      };
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };

    types = rec {
      single = check: {
        inherit check;
        merge =
          values:
          if builtins.length values == 1 then builtins.head values else throw "an option has several values";
      };
      bool = single builtins.isBool;
      str = single builtins.isString;
      strMatching = pattern: single (value: builtins.isString value && builtins.match pattern value != null);
      package = single (value: value.type or "" == "derivation");
      anything = single (_: true);
      nullOr = type: type // { check = value: value == null || type.check value; };
      listOf = type: {
        check = value: builtins.isList value && builtins.all type.check value;
        merge = builtins.concatLists;
      };
      attrsOf = type: {
        check = value: builtins.isAttrs value && builtins.all type.check (builtins.attrValues value);
        merge = builtins.foldl' recursiveUpdate { };
      };
    };

    evalModules =
      { modules, specialArgs }:
      let
        call =
          module: if builtins.isFunction module then module (specialArgs // { inherit config lib; }) else module;
        # With all that they import; those of one key once.
        called = map (found: found.module) (
          builtins.genericClosure {
            startSet = keyed "module" modules;
            operator = found: keyed found.key (found.module.imports or [ ]);
          }
        );
        keyed =
          place: list:
          builtins.genList (
            number:
            let
              module = call (builtins.elemAt list number);
            in
            {
              inherit module;
              key = module.key or "${place}/${toString number}";
            }
          ) (builtins.length list);
        options = builtins.foldl' declaredOnce { } (map (module: module.options or { }) called);
        declaredOnce =
          left: right:
          left
          // builtins.mapAttrs (
            name: value:
            if !(left ? ${name}) then
              value
            else if value._type or "" == "option" then
              throw "an option is declared twice: ${name}"
            else
              declaredOnce left.${name} value
          ) right;
        config = valuesBelow [ ] options;
        valuesBelow =
          path: tree:
          if tree._type or "" == "option" then
            valueOf path tree
          else
            builtins.mapAttrs (name: valuesBelow (path ++ [ name ])) tree;
        valueOf =
          path: option:
          let
            found = builtins.concatMap (module: definitions path (module.config or { })) called;
            values = map (definition: withoutConditions definition.value) (
              builtins.filter (definition: definition.holds) found
            );
            shown = builtins.concatStringsSep "." path;
          in
          if values == [ ] then
            option.default or (throw "${shown} has no value")
          else if builtins.all option.type.check values then
            option.type.merge values
          else
            throw "${shown} has a value of the wrong type";
        # What `content` says of the option at `path`, and whether it holds.
        definitions =
          path: content:
          if content._type or "" == "if" then
            map (definition: definition // { holds = content.condition && definition.holds; }) (
              definitions path content.content
            )
          else if path == [ ] then
            [
              {
                holds = true;
                value = content;
              }
            ]
          else if content ? ${builtins.head path} then
            definitions (builtins.tail path) content.${builtins.head path}
          else
            [ ];
        # Within a value: an attribute under a condition that does not hold is none.
        withoutConditions =
          value:
          if builtins.isAttrs value && value.type or "" != "derivation" then
            builtins.mapAttrs (_: inner: withoutConditions (inner.content or inner)) (
              filterAttrs (_: inner: !(inner._type or "" == "if" && !inner.condition)) value
            )
          else
            value;
      in
      {
        inherit config options;
      };
  };
in
lib
