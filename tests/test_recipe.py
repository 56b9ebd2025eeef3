import pytest
import yaml

from mmprolong_hf.recipe import check_recipe, load_recipe, parse_recipe


def write(folder, text):
    path = folder / "recipe.yaml"
    path.write_text(text)
    return str(path)


BASE = "model_name_or_path: model\ndataset_name: data\noutput_dir: out\nbf16: false\nuse_cpu: true\nreport_to: none\n"
CLEAN = BASE.replace("bf16: false\n", "")


@pytest.mark.parametrize(
    "path", sorted(__import__("pathlib").Path(__file__).parents[1].glob("recipes/**/*.yaml")), ids=lambda p: p.name
)
def test_every_recipe_is_strict_and_short_headed(path, root):
    if path.parent.name in ("accelerate", "build", "evaluation"):
        return
    text = path.read_text()
    recipe = load_recipe(path)
    check_recipe(recipe, path.name)
    assert text.splitlines()[0].startswith('if __name__ == "__main__": from mmprolong_hf')
    assert text.rstrip().endswith('# """')
    compile(text, path.name, "exec")  # a recipe is a Python program
    assert 1 <= sum(line.startswith("# ") for line in text.splitlines()) - 1 <= 12
    assert (root / recipe["model_card_template"]).is_file()
    assert path.stem in recipe["output_dir"]


def test_the_papers_recipe_is_the_papers(root):
    recipe = load_recipe(root / "recipes/qwen25vl_128k_paper.yaml")
    paper = {
        "rope_theta": 4e6, "max_position_embeddings": 131072, "max_length": 131072, "packs_per_step": 32, "max_steps": 1280,
        "learning_rate": 1e-5, "lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": 0.1},
        "warmup_steps": 0.1, "adam_beta1": 0.9, "adam_beta2": 0.95, "weight_decay": 0.1, "max_grad_norm": 1.0, "bf16": True,
        "vision_learning_rate": 1e-6,
    }  # fmt: skip
    assert {key: recipe[key] for key in paper} == paper
    assert recipe["max_steps"] * recipe["packs_per_step"] * recipe["max_length"] == 5 * 2**30
    assert recipe["share_documents"] is False


def test_the_shared_recipe_differs_from_the_papers_in_its_batches_alone(root):
    shared, paper = (load_recipe(root / f"recipes/qwen25vl_128k{name}.yaml") for name in ("", "_paper"))
    batches = {
        "share_documents",
        "max_questions_per_pack",
        "packs_per_step",
        "max_questions",
        "max_steps",
        "save_steps",
        "balance_window",
    }
    names = {"output_dir", "hub_model_id"}
    differing = {key for key in {*shared, *paper} if shared.get(key) != paper.get(key)}
    assert differing == batches | names
    assert shared["share_documents"] is True
    assert shared["max_questions"] == 63_000  # the paper's number of questions


def test_the_command_line_wins_over_the_recipe(tmp_path):
    path = write(tmp_path, BASE + "max_length: 4096\nlearning_rate: 1.0e-5\n")
    data, args, model = parse_recipe([path, "--max_length", "512", "--packs_per_step", "4"])
    assert (data.dataset_name, args.max_length, args.learning_rate, model.model_name_or_path) == (
        "data",
        512,
        1e-5,
        "model",
    )
    assert args.gradient_accumulation_steps == 4
    data, args, _ = parse_recipe(["--config", path, "--dataset_name", "other"])
    assert (data.dataset_name, args.max_length) == ("other", 4096)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("max_lenght: 5", "unknown key 'max_lenght', did you mean 'max_length'"),
        ("qqqqqqq: 5", "unknown key 'qqqqqqq'; `mmprolong train --help`"),
        ("max_length: many", r"max_length is 'many' \(str\), expected int"),
        ("max_length: 4096.5", r"max_length is 4096.5 \(float\), expected int"),
        ("max_length: true", r"max_length is True \(bool\), expected int"),
        ("bf16: 1", r"bf16 is 1 \(int\), expected bool"),
        ("rope_theta: 4.0e6", r"YAML reads 1e-5 and 4.0e6 as text, write 1.0e-5 and 4.0e\+6"),
        ("lr_scheduler_type: cosin", "cosin is not a valid SchedulerType"),
        ("packing_order: shuffled", "packing_order is 'shuffled', expected one of random, sequential"),
        ("overlong_documents: cut", "overlong_documents is 'cut', expected one of reject, keep_evidence"),
        ("rope_type: linear", "rope_type is 'linear', expected one of default, yarn"),
        ("rope_theta: .nan", "rope_theta is nan, expected a positive number"),
        ("min_pixels: 400\nmax_pixels: 100", r"min_pixels is 400, more than max_pixels \(100\)"),
        ("dry_run: true\nnum_gpus: 6", r"num_gpus is 6, expected a divisor of packs_per_step \(32\)"),
        ("num_gpus: 0", "num_gpus is 0"),
        ("dataset_name: twice", "key 'dataset_name' stands twice"),
        ("model_card_template: nowhere.md", r"model_card_template nowhere\.md does not exist"),
        ("use_liger_kernel: true", "use_liger_kernel is not supported"),
        ("packing: true", "packing and padding_free are TRL's"),
        ("per_device_train_batch_size: 4", "a rank takes one pack at a time; set packs_per_step instead"),
        ("gradient_accumulation_steps: 4", "it follows from packs_per_step"),
        ("max_length: null", "max_length is null, expected the number of tokens in a pack"),
        ("max_questions_per_pack: 0", "max_questions_per_pack is 0, expected at least 1"),
        ("balance_window: 0", "balance_window is 0, expected at least 1"),
        ("max_questions: 0", "max_questions is 0, expected at least 1"),
        ("ignore_data_skip: true", "ignore_data_skip is on, with which a resumed run repeats samples"),
        ("average_tokens_across_devices: false", "the loss depends on the number of processes; leave it on"),
        ("data_seed: -1", r"the seed of the plan is -1 \(data_seed, else seed\), expected 0 to 4294967295"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, message):
    with pytest.raises(ValueError, match=message):
        parse_recipe([write(tmp_path, (CLEAN if line.startswith("bf16") else BASE) + line + "\n")])


@pytest.mark.parametrize(
    ("text", "message"),
    [("- a\n- b\n", "holds a list, expected a mapping"), ("a: [1\n", "is not valid YAML"), ("", "holds a NoneType")],
)
def test_what_is_no_recipe(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        load_recipe(write(tmp_path, text))


def test_missing_recipe_and_unknown_option(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.yaml does not exist"):
        parse_recipe(["nowhere.yaml"])
    with pytest.raises(ValueError, match="unknown option '--max_step', did you mean 'max_steps'"):
        parse_recipe([write(tmp_path, BASE), "--max_step", "5"])
    with pytest.raises(ValueError, match="--config needs the path"):
        parse_recipe(["--config"])


def test_a_recipe_without_a_model_and_one_in_another_encoding(tmp_path):
    with pytest.raises(ValueError, match="model_name_or_path is missing"):
        parse_recipe([write(tmp_path, BASE.replace("model_name_or_path: model\n", ""))])
    (tmp_path / "latin.yaml").write_bytes("output_dir: caf\u00e9".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.yaml is not valid YAML in UTF-8"):
        load_recipe(tmp_path / "latin.yaml")


def test_a_template_is_found_from_any_folder(tmp_path, root, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, args, _ = parse_recipe([str(root / "recipes/qwen25vl_128k.yaml"), "--use_cpu", "true", "--bf16", "false"])
    assert args.model_card_template == str(root / "model_cards/long_context.md")


def test_the_program_line_is_yaml(tmp_path):
    text = 'if __name__ == "__main__": from m import main; main(); r"""\nmax_length: 8\n# """\n'
    assert yaml.safe_load(text).keys() == {'if __name__ == "__main__"', "max_length"}
    assert load_recipe(write(tmp_path, text)) == {"max_length": 8}
