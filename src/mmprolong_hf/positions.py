"""Positions of a sample: the text row, then time, height and width."""

import torch

# Labels with this value carry no loss. It is torch's default `ignore_index`, and what TRL and transformers compare with.
IGNORE_INDEX = -100


def mrope_position_ids(
    mm_token_type_ids: torch.Tensor, image_grid_thw: torch.Tensor, merge_size: int = 2
) -> torch.Tensor:
    """
    M-RoPE positions of one sample, as Qwen2.5-VL's and Qwen3-VL's `get_rope_index` give them for page images, without a
    model: data-loader workers have none.

    A text token advances all three rows by one. An image of `rows x cols` merged tokens keeps its time row at the counter
    `p`, its height row runs over `p .. p + rows - 1`, its width row over `p .. p + cols - 1`, and the counter moves on by
    `max(rows, cols)` only.

    Args:
        mm_token_type_ids (`torch.Tensor` of shape `(T,)`): 0 for text tokens, 1 for image tokens.
        image_grid_thw (`torch.Tensor` of shape `(num_images, 3)`): Time, height and width of each image in patches.
        merge_size (`int`): Patches that are merged into one token, per side.

    Returns:
        `torch.Tensor` of shape `(3, T)`, int64.

    Raises:
        ValueError: when image tokens and grids do not match, or a grid has more than one frame (video).

    Example:

    ```python
    >>> mrope_position_ids(torch.tensor([0, 1, 1, 0]), torch.tensor([[1, 2, 4]]))
    tensor([[0, 1, 1, 3],
            [0, 1, 1, 3],
            [0, 1, 2, 3]])

    ```
    """
    length = mm_token_type_ids.shape[0]
    is_image = mm_token_type_ids == 1
    first = is_image & ~torch.cat([is_image.new_zeros(1), is_image[:-1]])
    starts = first.nonzero().flatten().tolist()
    if len(starts) != len(image_grid_thw):
        raise ValueError(
            f"{len(starts)} runs of image tokens but {len(image_grid_thw)} image grids; one run per image is expected"
        )

    parts, cursor, counter = [], 0, 0
    for start, (frames, height, width) in zip(starts, image_grid_thw.tolist()):
        if frames != 1:
            raise ValueError(f"an image grid has {frames} frames; page images have one (video is not supported)")
        rows, cols = height // merge_size, width // merge_size
        parts.append(torch.arange(counter, counter + start - cursor).expand(3, -1))
        counter += start - cursor
        grid = torch.cartesian_prod(torch.arange(1), torch.arange(rows), torch.arange(cols))
        parts.append(grid.T + counter)
        counter += max(rows, cols)
        cursor = start + rows * cols
        if cursor > length or not is_image[start:cursor].all():
            raise ValueError(
                f"the image that starts at token {start} has a grid of {rows} x {cols} tokens, but fewer image tokens"
            )
    parts.append(torch.arange(counter, counter + length - cursor).expand(3, -1))
    if int(is_image.sum()) != sum(part.shape[1] for part in parts[1::2]):
        raise ValueError("there are more image tokens than the image grids account for")
    return torch.cat(parts, dim=1)


def sample_position_ids(
    mm_token_type_ids: torch.Tensor, image_grid_thw: torch.Tensor, merge_size: int = 2
) -> torch.Tensor:
    """
    Positions of one sample as a pack holds them: the text row, from 0 on, above [`mrope_position_ids`].

    The text row is what transformers tells samples apart by; without it (three rows only) samples see each other silently.

    Args and Raises: as [`mrope_position_ids`].

    Returns:
        `torch.Tensor` of shape `(4, T)`, int64.

    Example:

    ```python
    >>> sample_position_ids(torch.tensor([0, 1, 1, 0]), torch.tensor([[1, 2, 4]]))
    tensor([[0, 1, 2, 3],
            [0, 1, 1, 3],
            [0, 1, 1, 3],
            [0, 1, 2, 3]])

    ```
    """
    mrope = mrope_position_ids(mm_token_type_ids, image_grid_thw, merge_size)
    return torch.cat([torch.arange(mrope.shape[1])[None], mrope])
