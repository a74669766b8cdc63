"""What users of CUT and pix2pix type and this program lacks: names there, and what to do here."""

WITHOUT_EFFECT = {  # taken, and said to change nothing
    "--aspect_ratio": "results keep the shape of their images",
    "--display_ncols": "pages arrange their images by themselves",
    "--display_winsize": "pages arrange their images by themselves",
    "--easy_label": "a run has its --name alone",
    "--model_suffix": "test.py finds the model by --name, and --epoch or --weights",
    "--suffix": "the whole name of a run is its --name",
    "--verbose": "sizes of the networks are always printed",
}

_CYCLE_GAN = "--model cut translates unpaired images here, and has no cycle"
_GRADCAM = "Grad-CAM feedback is --model pix2pix_gradcam"
_LIVE = "web/index.html shows losses and samples, --display_id 1 and --tensorboard show them live"
_BY_EPOCH = "checkpoints are kept by epoch, every --save_epoch_freq, and chosen by --epoch"
_STYLEGAN2 = "StyleGAN2 networks are not here: choose another --netG"

FLAGS = {
    "--batchSize": "here it is --batch_size",
    "--evaluation_freq": "here it is --val_freq, in epochs",
    "--fineSize": "here it is --crop_size",
    "--how_many": "here it is --num_test",
    "--lambda_A": _CYCLE_GAN,
    "--lambda_B": _CYCLE_GAN,
    "--lambda_feat": "--model pix2pix_gradcam compares attention maps, not features: leave it out",
    "--lambda_identity": _CYCLE_GAN,
    "--loadSize": "here it is --load_size",
    "--load_iter": _BY_EPOCH,
    "--nThreads": "here it is --num_threads",
    "--niter": "here it is --n_epochs",
    "--niter_decay": "here it is --n_epochs_decay",
    "--no_lsgan": "here it is --gan_mode vanilla",
    "--ntest": "here it is --num_test",
    "--random_scale_max": "patches of single images are not trained on here: leave it out",
    "--resize_or_crop": "here it is --preprocess",
    "--save_by_iter": _BY_EPOCH,
    "--stylegan2_G_num_downsampling": _STYLEGAN2,
    "--use_wandb": _LIVE,
    "--wandb_project_name": _LIVE,
    "--which_direction": "here it is --direction",
    "--which_epoch": "here it is --epoch",
    "--which_model_netD": "here it is --netD",
    "--which_model_netG": "here it is --netG",
}

MODELS = {
    "cycle_gan": _CYCLE_GAN,
    "fastcut": "it is --model cut --CUT_mode FastCUT",
    "pix2pix_cam": _GRADCAM,
    "pix2pix_gradcam_feat": _GRADCAM,
    "sincut": "--model cut learns from folders of images, not from patches of one",
    "test": "test.py finds the model by --name; --dataset_mode single is for a folder of A alone",
}
